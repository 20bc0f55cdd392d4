import type { Server } from "../lib/server.ts";
import { Problem } from "../lib/shared/problem.ts";

/** Refuses what a server that stops does not begin: connections. @throws {Problem} `shutting_down` */
export function requireRunning({ stopping }: Pick<Server, "stopping">): void {
  if (stopping.aborted) {
    throw new Problem("shutting_down", "This server is stopping: connect to another one.");
  }
}
