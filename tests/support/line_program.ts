/** A program that prints a line for each event. */
export interface ClientProgram extends AsyncDisposable {
  /** What it has printed. */
  readonly lines: readonly string[];
  /** Returns its errors. */
  errors(): string;
}

/** A program of its own process. */
export interface LineProgram extends ClientProgram {
  /** Resolves when it has ended. */
  readonly exitCode: Promise<number>;
}

/** Starts a program. */
export function startProgram([file = "", ...args]: readonly string[]): LineProgram {
  const process = new Deno.Command(file, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines: string[] = [];
  let errors = "";
  const reading = Promise.all([
    readText(process.stdout, (text) => {
      const [first = "", ...others] = text.split("\n");
      lines.push((lines.pop() ?? "") + first, ...others);
    }),
    readText(process.stderr, (text) => errors += text),
  ]);
  return {
    get lines() {
      return lines.slice(0, -1); // the last one is not complete
    },
    exitCode: process.status.then(({ code }) => code),
    errors: () => errors,
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch (cause) {
        if (!(cause instanceof TypeError)) throw cause; // it has ended
      }
      await process.status;
      await reading;
    },
  };
}

async function readText(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onText: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}
