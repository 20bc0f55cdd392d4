import { PROGRAM } from "./chromium.ts";
import { isMissing } from "./programs.ts";

/** Tests that need a network namespace are ignored where this is true. */
export const NAMESPACES_MISSING = isMissing(
  [
    "sh",
    "-c",
    "ip netns add weir-probe-$$ && ip netns delete weir-probe-$$ && command -v iptables",
  ],
  "Network namespaces need root and the packages iproute2 and iptables",
);

/** A network of one host, for a browser, which loses UDP packets at random. */
export class LossyNetwork implements AsyncDisposable {
  /** A program that starts Chromium in the network. */
  readonly program: string;
  readonly #name: string;
  readonly #folder: string;

  private constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
    this.program = `${folder}/chromium`;
  }

  static async create(): Promise<LossyNetwork> {
    const name = `weir-${crypto.randomUUID().slice(0, 8)}`;
    const folder = await Deno.makeTempDir({ prefix: "weir_netns_" });
    const network = new LossyNetwork(name, folder);
    const script = `#!/bin/sh\nexec ip netns exec ${name} ${PROGRAM} "$@"\n`;
    await Deno.writeTextFile(network.program, script, { mode: 0o755 });
    await run("ip", "netns", "add", name);
    // Peers do not use the loopback interface.
    await network.#inside("ip", "link", "set", "lo", "up");
    await network.#inside("ip", "link", "add", "weir0", "type", "veth", "peer", "name", "weir1");
    await network.#inside("ip", "address", "add", "10.99.0.1/24", "dev", "weir0");
    for (const end of ["weir0", "weir1"]) await network.#inside("ip", "link", "set", end, "up");
    // A page may use the interface of the default route only.
    await network.#inside("ip", "route", "add", "default", "via", "10.99.0.2");
    return network;
  }

  /** Loses this share of the UDP packets from now on. 1 cuts the network. */
  async lose(share: number): Promise<void> {
    await this.#inside("iptables", "-F", "INPUT");
    if (share === 0) return;
    const rule = ["-A", "INPUT", "-p", "udp", "-m", "statistic", "--mode", "random"];
    await this.#inside("iptables", ...rule, "--probability", String(share), "-j", "DROP");
  }

  async #inside(...command: string[]): Promise<void> {
    await run("ip", "netns", "exec", this.#name, ...command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("ip", "netns", "delete", this.#name);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "null",
  }).output();
  if (success) return;
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
