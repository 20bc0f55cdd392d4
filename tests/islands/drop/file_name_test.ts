import assert from "node:assert/strict";
import fc from "fast-check";
import { savedName, shownName } from "../../../islands/drop/file_name.ts";

Deno.test("shownName() keeps the extension of a long name and shows hidden characters", () => {
  assert.equal(shownName("report.pdf"), "report.pdf");
  assert.equal(shownName(" \n\u0000"), "unnamed");
  assert.equal(shownName("photo\u202egpj.exe"), "photo\\u202egpj.exe");
  const long = shownName(`${"a".repeat(1_000)}.exe`);
  assert.ok(long.endsWith("aaa.exe") && long.includes("…") && long.length <= 80, long);
});

Deno.test("savedName() is never a path, a hidden file or longer than file systems allow", () => {
  assert.equal(savedName("report 2.pdf"), "report 2.pdf");
  assert.equal(savedName("../../etc/passwd"), "__.._etc_passwd");
  assert.equal(savedName(".bashrc"), "_bashrc");
  assert.equal(savedName("a\\b:c.txt"), "a_b_c.txt");
  assert.equal(savedName("photo\u202egpj.exe"), "photo_gpj.exe");
  assert.equal(savedName(""), "unnamed");
  assert.match(savedName(`${"é".repeat(200)}.tar.gz`), /^é+…é+\.tar\.gz$/);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 400 }), (name) => {
    const saved = savedName(name);
    assert.match(saved, /^[^./\\][^/\\]*$/u);
    assert.ok(saved.isWellFormed());
    assert.ok(new TextEncoder().encode(saved).length <= 255);
  }));
});
