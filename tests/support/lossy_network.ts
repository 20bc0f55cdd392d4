import { chromiumIn, runCommand } from "./network_namespace.ts";
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

  private constructor(name: string, folder: string, program: string) {
    this.#name = name;
    this.#folder = folder;
    this.program = program;
  }

  static async create(): Promise<LossyNetwork> {
    const name = `weir-${crypto.randomUUID().slice(0, 8)}`;
    const folder = await Deno.makeTempDir({ prefix: "weir_netns_" });
    const network = new LossyNetwork(name, folder, await chromiumIn(name, folder));
    await runCommand(`ip netns add ${name}`);
    // Peers do not use the loopback interface.
    await network.#inside("ip link set lo up");
    await network.#inside("ip link add weir0 type veth peer name weir1");
    await network.#inside("ip address add 10.99.0.1/24 dev weir0");
    for (const end of ["weir0", "weir1"]) await network.#inside(`ip link set ${end} up`);
    // A page may use the interface of the default route only.
    await network.#inside("ip route add default via 10.99.0.2");
    return network;
  }

  /** Loses this share of the UDP packets from now on. 1 cuts the network. */
  async lose(share: number): Promise<void> {
    await this.#inside("iptables -F INPUT");
    if (share === 0) return;
    const random = `-m statistic --mode random --probability ${share}`;
    await this.#inside(`iptables -A INPUT -p udp ${random} -j DROP`);
  }

  async #inside(command: string): Promise<void> {
    await runCommand(`ip netns exec ${this.#name} ${command}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runCommand(`ip netns delete ${this.#name}`);
    await Deno.remove(this.#folder, { recursive: true });
  }
}
