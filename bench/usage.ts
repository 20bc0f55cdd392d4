/** What processes use, from /proc (Linux): CPU and resident memory. */

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that Deno runs on. */
const TICKS = 100;

/** CPU seconds, user and system, that `pids` have used so far. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is a name that may hold spaces: count from behind its bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/** CPU seconds that the whole machine has spent working since it started. */
export function machineSeconds(): number {
  const line = Deno.readTextFileSync("/proc/stat").split("\n", 1)[0] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/ +/).slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS;
}

/** Resident memory of `pids` together, KB of 1,024 bytes. */
export function residentKb(pids: readonly number[]): number {
  let kb = 0;
  for (const pid of pids) {
    const line = /^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
    kb += Number(line?.[1] ?? 0);
  }
  return kb;
}

/** The value below which the share `p` of `values` lies, or null if there are none. */
export function quantile(values: readonly number[], p: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * p)] ?? null;
}
