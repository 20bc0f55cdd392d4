import { isMissing } from "./programs.ts";

const PROGRAM = Deno.env.get("FIREFOX") ?? "/usr/bin/firefox-esr";

/** Tests that need Firefox are ignored where this is true. */
export const FIREFOX_MISSING = isMissing(
  [PROGRAM, "--version"],
  `Firefox is not at ${PROGRAM}: run \`apt-get install firefox-esr\`, or set FIREFOX to its path`,
);

const LISTENING = /^WebDriver BiDi listening on (ws:\S+)$/m;

/** Firefox reaches nothing but this machine: all else goes to a proxy that does not exist. */
const PREFERENCES: Readonly<Record<string, string | number | boolean>> = {
  "network.proxy.type": 1,
  "network.proxy.http": "127.0.0.1",
  "network.proxy.http_port": 9,
  "network.proxy.ssl": "127.0.0.1",
  "network.proxy.ssl_port": 9,
  "network.proxy.no_proxies_on": "127.0.0.1",
  "app.update.disabledForTesting": true,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
};

/** A command of WebDriver BiDi, or its answer or an event. */
type Message = Readonly<Record<string, unknown>>;

/** A line of a page's console, or an error that its script threw. */
export interface LogEntry {
  readonly type: string;
  readonly level: string;
  readonly text: string;
}

/** A headless Firefox with a new profile, driven over WebDriver BiDi (W3C). */
export class Firefox implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #drained: Promise<void>;
  readonly #answers = new Map<number, (answer: Message) => void>();
  readonly #logs = new Map<string, (entry: LogEntry) => void>();
  #lastId = 0;

  private constructor(
    { process, profile, socket, drained }: {
      readonly process: Deno.ChildProcess;
      readonly profile: string;
      readonly socket: WebSocket;
      readonly drained: Promise<void>;
    },
  ) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    this.#drained = drained;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  static async open(): Promise<Firefox> {
    const profile = await Deno.makeTempDir({ prefix: "weir_firefox_" });
    const lines = Object.entries(PREFERENCES).map(([name, value]) =>
      `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`
    );
    await Deno.writeTextFile(`${profile}/user.js`, lines.join(""));
    const process = new Deno.Command(PROGRAM, {
      args: ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"],
      env: { HOME: profile },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { url, drained } = await readUrl(process.stderr);
    const socket = new WebSocket(`${url}/session`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("Firefox accepts no connection"));
    });
    const firefox = new Firefox({ process, profile, socket, drained });
    await firefox.#call("session.new", { capabilities: {} });
    await firefox.#call("session.subscribe", { events: ["log.entryAdded"] });
    return firefox;
  }

  /** Opens a page in a tab of its own. Resolves with the tab's id when it has loaded. */
  async openPage(url: string, onLog: (entry: LogEntry) => void): Promise<string> {
    const context = String(
      (await this.#call("browsingContext.create", { type: "tab" }))["context"],
    );
    this.#logs.set(context, onLog);
    await this.navigate(context, url);
    return context;
  }

  /** Opens another page in a tab. Resolves when it has loaded. */
  async navigate(tab: string, url: string): Promise<void> {
    await this.#call("browsingContext.navigate", { context: tab, url, wait: "complete" });
  }

  /** Runs a script in a page, and resolves with the text that it returns or promises. */
  async evaluate(tab: string, expression: string): Promise<string> {
    const answer = await this.#call("script.evaluate", {
      expression,
      target: { context: tab },
      awaitPromise: true,
    });
    if (answer["type"] !== "success") throw new Error(JSON.stringify(answer["exceptionDetails"]));
    return String((answer["result"] as Message)["value"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    await this.#call("browser.close", {}); // after a kill its children would still use the profile
    await this.#process.status;
    await Promise.all([closed, this.#drained]);
    await Deno.remove(this.#profile, { recursive: true });
  }

  async #call(method: string, params: Message): Promise<Message> {
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, method, params }));
    const answer = await new Promise<Message>((resolve) => this.#answers.set(id, resolve));
    if (answer["type"] === "error") throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer["result"] as Message;
  }

  #receive(message: Message): void {
    if (message["method"] === "log.entryAdded") {
      const entry = message["params"] as LogEntry & {
        readonly source: { readonly context?: string };
      };
      this.#logs.get(entry.source.context ?? "")?.(entry);
    } else {
      this.#answers.get(Number(message["id"]))?.(message);
      this.#answers.delete(Number(message["id"]));
    }
  }
}

/** Reads the URL that Firefox prints, and everything after it. */
async function readUrl(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<{ readonly url: string; readonly drained: Promise<void> }> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!LISTENING.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Firefox has ended: ${text}`);
    text += value;
  }
  const drain = async () => {
    while (!(await reader.read()).done);
  };
  return { url: LISTENING.exec(text)?.[1] ?? "", drained: drain() };
}
