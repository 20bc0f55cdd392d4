// Writes docs/clients.md: `deno run -A tests/clients/write_page.ts`.
import { clientsPage } from "./libraries.ts";

await Deno.writeTextFile(new URL("../../docs/clients.md", import.meta.url), await clientsPage());
