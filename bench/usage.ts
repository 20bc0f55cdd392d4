/** CPU and resident memory of processes, from /proc (Linux). */

/** Clock ticks per second in /proc/PID/stat: 100 on every Linux that Deno supports. */
const TICKS = 100;

/** Returns the CPU seconds, user and system, that `pids` have used. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is a name in brackets that may contain spaces: count after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/** Returns the CPU seconds that the machine has been busy since it started. */
export function machineSeconds(): number {
  const line = Deno.readTextFileSync("/proc/stat").split("\n", 1)[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/ +/).slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS;
}

/** Returns the resident memory of all `pids`, or the sum of their peaks, in KB of 1,024 bytes. */
export function residentKb(pids: readonly number[], field: "VmRSS" | "VmHWM" = "VmRSS"): number {
  let kb = 0;
  for (const pid of pids) {
    const line = new RegExp(`^${field}:\\s+(\\d+)`, "m")
      .exec(Deno.readTextFileSync(`/proc/${pid}/status`));
    kb += Number(line?.[1] ?? 0);
  }
  return kb;
}

/** Returns the value below which the share `p` of `values` lies, or null without values. */
export function quantile(values: readonly number[], p: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * p)] ?? null;
}

/** Returns the median of the values that are not null, or null without any. */
export function median(values: readonly (number | null)[]): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
