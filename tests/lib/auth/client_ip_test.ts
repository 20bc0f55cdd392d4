import assert from "node:assert/strict";
import * as fc from "fast-check";
import { clientIp, parseTrustedProxies } from "../../../lib/auth/client_ip.ts";

const NOBODY = parseTrustedProxies("");
const PROXIES = parseTrustedProxies("10.0.0.0/8, 192.0.2.7 fd00::/8");

Deno.test("without trusted proxies the peer's IP counts", () => {
  for (const forwarded of [null, "", "203.0.113.9", "x"]) {
    assert.equal(clientIp("198.51.100.1", forwarded, NOBODY), "198.51.100.1");
    assert.equal(clientIp("198.51.100.1", forwarded, PROXIES), "198.51.100.1");
    assert.equal(clientIp("2001:db8::1", forwarded, NOBODY), "2001:db8:0:0::/64");
  }
});

Deno.test("an IPv6 address counts as its network of 64 bits", () => {
  const networks: readonly (readonly [string, string])[] = [
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"],
    ["2001:db8:1:3::1", "2001:db8:1:3::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["1::8", "1:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1.2.3.4", "0:0:0:0::/64"],
    ["64:ff9b::1.2.3.4", "64:ff9b:0:0::/64"],
  ];
  for (const [ip, network] of networks) {
    assert.equal(clientIp(ip, null, NOBODY), network);
  }
});

Deno.test("IPv4 mapped into IPv6 counts as IPv4", () => {
  for (const ip of ["::ffff:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:FFFF:102:304"]) {
    assert.equal(clientIp(ip, null, NOBODY), "1.2.3.4");
  }
  assert.equal(clientIp("::ffff:10.0.0.1", "203.0.113.9", PROXIES), "203.0.113.9");
});

Deno.test("behind trusted proxies the last IP that is not a proxy counts", () => {
  const headers: readonly (readonly [string, string])[] = [
    ["203.0.113.9", "203.0.113.9"],
    ["198.51.100.1, 203.0.113.9", "203.0.113.9"],
    ["198.51.100.1,203.0.113.9,10.2.3.4 ,192.0.2.7", "203.0.113.9"],
    ["x, , 203.0.113.9", "203.0.113.9"],
    ["203.0.113.9:4711", "203.0.113.9"],
    ["2001:db8:1:2:3::4", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2:3::4]:443, fd12::1", "2001:db8:1:2::/64"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["192.0.2.8, 192.0.2.7", "192.0.2.8"],
    ["11.0.0.1", "11.0.0.1"],
  ];
  for (const peer of ["10.0.0.1", "192.0.2.7", "fd00::1"]) {
    for (const [forwarded, ip] of headers) {
      assert.equal(clientIp(peer, forwarded, PROXIES), ip, forwarded);
    }
  }
});

Deno.test("if all entries are trusted proxies, the first one counts", () => {
  assert.equal(clientIp("10.0.0.1", "10.0.0.3, 10.0.0.2", PROXIES), "10.0.0.3");
});

Deno.test("an unreadable header makes the peer's IP count", () => {
  const headers = [
    "",
    ",",
    "unknown",
    "203.0.113.9,",
    "203.0.113.9, _hidden",
    "203.0.113.9 198.51.100.1",
    "203.0.113.256",
    "203.0.113.9/8",
    "203.0.113.9:x",
    "2001:db8::1:2:3:4:5:6:7:8",
    "[2001:db8::1",
    "x, 10.0.0.2",
    `${"0".repeat(1_000)}1.2.3.4`,
  ];
  for (const forwarded of headers) {
    assert.equal(clientIp("10.0.0.1", forwarded, PROXIES), "10.0.0.1", forwarded);
  }
  for (const remote of ["", "/run/weir.sock", "x:y"]) {
    assert.equal(clientIp(remote, "203.0.113.9", PROXIES), remote);
    assert.equal(clientIp(remote, "203.0.113.9", NOBODY), remote);
  }
});

Deno.test("entries written by the client never change its IP", () => {
  const said = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant("10.0.0.1"))).map((list) => list.join(",")),
  );
  fc.assert(fc.property(said, (said) => {
    const forwarded = `${said}, 203.0.113.9, 10.0.0.2`;
    assert.equal(clientIp("10.0.0.1", forwarded, PROXIES), "203.0.113.9");
    assert.equal(clientIp("198.51.100.1", said, PROXIES), "198.51.100.1");
  }));
});

Deno.test("any IP and header give an IP, and always the same one", () => {
  const text = fc.oneof(fc.string({ unit: fc.constantFrom(..."0123456789afF:.[],% ") }), fc.ipV6());
  fc.assert(fc.property(text, text, (remote, forwarded) => {
    const first = clientIp(remote, forwarded, PROXIES);
    assert.equal(clientIp(remote, forwarded, PROXIES), first);
    assert.equal(clientIp("10.0.0.1", remote, PROXIES).includes(" "), false);
  }));
});

Deno.test("IPs beyond the size of the cache count too", () => {
  const proxies = parseTrustedProxies("10.0.0.0/8");
  for (let i = 0; i < 25_000; i++) {
    const group = i.toString(16);
    assert.equal(clientIp(`2001:db8:${group}::1`, null, proxies), `2001:db8:${group}:0::/64`);
  }
});

Deno.test("parseTrustedProxies() accepts IPs and networks", () => {
  const trusts = (setting: string, peer: string) =>
    clientIp(peer, "203.0.113.9", parseTrustedProxies(setting)) === "203.0.113.9";
  assert.ok(trusts("10.1.2.3/8", "10.255.0.1"));
  assert.ok(!trusts("10.1.2.3/8", "11.0.0.1"));
  assert.ok(trusts("10.1.2.3", "10.1.2.3"));
  assert.ok(!trusts("10.1.2.3", "10.1.2.4"));
  assert.ok(trusts("::1 127.0.0.1", "::1"));
  assert.ok(trusts("fd00::1", "fd00:0::1"));
  assert.ok(!trusts("fd00::1", "fd00::2"));
  assert.ok(trusts("2001:db8::/33", "2001:db8:7fff::1"));
  assert.ok(!trusts("2001:db8::/33", "2001:db8:8000::1"));
  assert.ok(trusts("::ffff:10.0.0.0/104", "10.9.9.9"));
  assert.ok(!trusts("::ffff:10.0.0.0/104", "11.9.9.9"));
  const wrong = [
    "x",
    "localhost",
    "10.0.0",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "0.0.0.0/0",
    "::/0",
    "::ffff:10.0.0.0/64",
    "fd00::/129",
    "10.0.0.1:80",
    "[::1]",
    "10.0.0.1; 10.0.0.2",
  ];
  for (const setting of wrong) {
    assert.throws(() => parseTrustedProxies(setting), /^Error: IP addresses and networks/, setting);
  }
});
