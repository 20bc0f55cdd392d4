import { progressLine } from "./progress.ts";

/** Between two changes of the progress on a terminal. */
const INTERVAL_MS = 100;

/** What a command says on stderr: lines, and on a terminal its progress in the last line. */
export class StatusLine {
  readonly isTerminal = Deno.stderr.isTerminal();
  #shownAt = -Infinity;

  /** Shows the progress, at most ten times a second. Shows nothing without a terminal. */
  show(progress: Parameters<typeof progressLine>[0]): void {
    const now = performance.now();
    if (!this.isTerminal || now - this.#shownAt < INTERVAL_MS) return;
    this.#shownAt = now;
    write(Deno.stderr, `\r${progressLine(progress, columns() - 1)}\x1b[K`);
  }

  /** Removes the progress. */
  clear(): void {
    if (this.isTerminal) write(Deno.stderr, "\r\x1b[K");
  }

  /** Writes a line in place of the progress, which is shown again when it changes. */
  say(line: string): void {
    this.clear();
    write(Deno.stderr, `${line.trimEnd()}\n`);
  }
}

/** Writes to stdout. */
export function print(text: string): void {
  write(Deno.stdout, text);
}

function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80; // a terminal that does not know its size
  }
}

function write(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}
