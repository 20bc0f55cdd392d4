import { z } from "zod";
import { Dashboard, type DashboardProps } from "../islands/dashboard/dashboard.tsx";
import type { Caller } from "../lib/auth/caller.ts";
import { FIGURES_CHANNEL } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import type { PageDefinition } from "./page.tsx";

const query = z.object({});

/** `/dashboard`: Weir's own figures. */
export const dashboardPage: PageDefinition<typeof query, DashboardProps> = {
  name: "dashboard",
  title: "Dashboard",
  query,
  Island: Dashboard,
  load,
};

/** Starts recording figures, so that the page finds some. */
function load({ figures }: Server, { authority }: Caller): DashboardProps {
  if (!authority.mayRead(FIGURES_CHANNEL)) {
    throw new Problem(
      "forbidden",
      `The dashboard shows figures of the whole server. It requires a token of the tenant "default" that may subscribe to "${FIGURES_CHANNEL}".`,
    );
  }
  figures.viewed();
  return {};
}
