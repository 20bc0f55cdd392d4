import { parseArgs } from "node:util";

/** The commands. Without one, the server runs. */
const COMMANDS = ["keys", "publish", "backup", "restore", "export", "import"] as const;
export type Command = typeof COMMANDS[number];

/** What the command line asks for. */
export type Request =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "refused"; readonly reason: string }
  | {
    readonly kind: "run";
    /** Undefined for the server. */
    readonly command: Command | undefined;
    /** The arguments of the command. */
    readonly args: readonly string[];
    /** The settings that options name. */
    readonly env: Readonly<Record<string, string>>;
  };

export const HELP = `Runs Weir, a realtime backend with a durable log per channel.

Usage: npx weir-server [OPTIONS]                   Run a server
       npx weir-server [OPTIONS] keys COMMAND      Create, list and revoke keys and tokens
       npx weir-server [OPTIONS] publish [FILE]    Publish events from a file or standard input
       npx weir-server [OPTIONS] backup FILE       Copy the store to a file, also while it is used
       npx weir-server [OPTIONS] restore FILE      Put a backup in the place of the store
       npx weir-server [OPTIONS] export [FILE]     Write channels of a server to a file, as NDJSON
       npx weir-server [OPTIONS] import [FILE]     Store the channels of an export

  --port NUMBER   The port to listen on; 0 picks a free one (WEIR_PORT). The default is 8000.
  --host ADDRESS  The address to listen on (WEIR_HOST). The default is 127.0.0.1: without keys, Weir
                  serves this machine only.
  --data FOLDER   The folder for events and keys (WEIR_DATA). The default is ./data.
  --version       Print the version.
  --help          Print this text. After a command: how to use the command.

All other settings are environment variables, such as WEIR_RETENTION_AGE=30d. A running server has
the documentation at /docs/README.md.
`;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const OPTIONS = { port: text, host: text, data: text, version: flag, help: flag } as const;

/** Parses the command line. Options before the command are the package's, the rest the command's. */
export function parseCommandLine(args: readonly string[]): Request {
  const { tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const at = tokens.find(({ kind }) => kind === "positional")?.index ?? args.length;
  try {
    const { values } = parseArgs({ args: args.slice(0, at), options: OPTIONS });
    if (values.help) return { kind: "help" };
    if (values.version) return { kind: "version" };
    const { port, host, data } = values;
    const env = {
      ...(port === undefined ? {} : { WEIR_PORT: port }),
      ...(host === undefined ? {} : { WEIR_HOST: host }),
      ...(data === undefined ? {} : { WEIR_DATA: data }),
    };
    const [name, ...rest] = args.slice(at);
    if (name === "help") return { kind: "help" };
    const command = COMMANDS.find((command) => command === name);
    if (command === undefined && name !== undefined) {
      return refused(`There is no command ${JSON.stringify(name)}.`);
    }
    return { kind: "run", command, args: rest, env };
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    return refused(`${cause.message}.`);
  }
}

function refused(reason: string): Request {
  return { kind: "refused", reason: `${reason} See npx weir-server --help.` };
}
