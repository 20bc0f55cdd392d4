import { Chromium } from "./chromium.ts";
import { chromiumIn, runCommand } from "./network_namespace.ts";

/** Bytes that wait for a slow link before it drops packets. */
const QUEUE_BYTES = 60_000;

/**
 * A network namespace with nothing but 127.0.0.1, for a server and its clients. What the server sends
 * can be lost, slow, or blocked as long as it is UDP. What clients send always arrives. Needs what
 * `NAMESPACES_MISSING` of `lossy_network.ts` checks.
 */
export class LoopbackNetwork implements AsyncDisposable {
  /** The start of a command that runs in the network. */
  readonly within: readonly string[];
  readonly #name: string;
  readonly #resources = new AsyncDisposableStack();

  private constructor(name: string) {
    this.#name = name;
    this.within = ["ip", "netns", "exec", name];
  }

  static async create(): Promise<LoopbackNetwork> {
    const network = new LoopbackNetwork(`weir-${crypto.randomUUID().slice(0, 8)}`);
    await runCommand(`ip netns add ${network.#name}`);
    network.#resources.defer(() => runCommand(`ip netns delete ${network.#name}`));
    // Packets as on Ethernet. Otherwise up to 64 KiB are one packet, which is lost as a whole.
    await network.#inside("ip link set lo up mtu 1500 gso_max_segs 1");
    // Browsers are offline without another interface.
    await network.#inside("ip link add weir0 type veth peer name weir1");
    await network.#inside("ip address add 10.99.0.1/24 dev weir0");
    for (const end of ["weir0", "weir1"]) await network.#inside(`ip link set ${end} up`);
    return network;
  }

  async openChromium(): Promise<Chromium> {
    const folder = await Deno.makeTempDir({ prefix: "weir_netns_" });
    this.#resources.defer(() => Deno.remove(folder, { recursive: true }));
    const program = await chromiumIn(this.#name, folder);
    // Pages that a test serves itself may connect to the server.
    const flags = ["--disable-features=LocalNetworkAccessChecks"];
    return this.#resources.use(await Chromium.open(flags, program));
  }

  /** Loses this share of the packets from the port, at random, from now on. */
  async lose(port: number, share: number): Promise<void> {
    await this.restore();
    for (const protocol of ["tcp", "udp"]) {
      const random = `-m statistic --mode random --probability ${share}`;
      await this.#inside(`iptables -A INPUT -p ${protocol} --sport ${port} ${random} -j DROP`);
    }
  }

  /** Drops all UDP packets, in both directions, from now on. */
  async blockUdp(): Promise<void> {
    await this.restore();
    await this.#inside("iptables -A INPUT -p udp -j DROP");
  }

  /** Ends what {@link lose} and {@link blockUdp} do. */
  async restore(): Promise<void> {
    await this.#inside("iptables -F INPUT");
  }

  /** Opens another port to the server, for TCP, from which packets always arrive. */
  async bypass(port: number, other: number): Promise<void> {
    const match = `-p tcp -d 127.0.0.1 --dport ${other}`;
    await this.#inside(`iptables -t nat -A OUTPUT ${match} -j REDIRECT --to-ports ${port}`);
  }

  /** Limits how fast packets leave the port. */
  async limit(port: number, megabits: number): Promise<void> {
    const add = (what: string) => this.#inside(`tc ${what}`);
    await add("qdisc replace dev lo root handle 1: htb");
    await add(`class add dev lo parent 1: classid 1:1 htb rate ${megabits}mbit burst 3kb`);
    await add(`qdisc add dev lo parent 1:1 bfifo limit ${QUEUE_BYTES}`);
    await add(
      `filter add dev lo parent 1: protocol ip u32 match ip sport ${port} 0xffff flowid 1:1`,
    );
  }

  async #inside(command: string): Promise<void> {
    await runCommand(`${this.within.join(" ")} ${command}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
