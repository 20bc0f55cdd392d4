import { keys } from "../kv/keys.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { Member, MemberName } from "./member.ts";

/** The members that `isolate` has by the rows. */
export async function membersOf(kv: Deno.Kv, isolate: string): Promise<readonly Member[]> {
  const places: Member[] = [];
  for await (const { key } of kv.list({ prefix: keys.stays(isolate) }, { batchSize: 500 })) {
    const [, , tenant, channel, member] = key;
    const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
    places.push({ channelKey, name: member as MemberName });
  }
  return places;
}
