import { keys } from "../kv/keys.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { Member, Place } from "./member.ts";

/** The members that `isolate` has by the rows. */
export async function placesOf(kv: Deno.Kv, isolate: string): Promise<readonly Place[]> {
  const places: Place[] = [];
  for await (const { key } of kv.list({ prefix: keys.stays(isolate) }, { batchSize: 500 })) {
    const [, , tenant, channel, member] = key;
    const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
    places.push({ channelKey, member: member as Member });
  }
  return places;
}
