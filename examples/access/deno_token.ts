// deno-lint-ignore-file no-import-prefix no-console
// Prints a token for the user "ann": deno run --allow-read deno_token.ts [signing.pem]
import { calculateJwkThumbprint, exportJWK, importPKCS8, SignJWT } from "npm:jose@6.2.17";

const pem = await Deno.readTextFile(Deno.args[0] ?? "data/keys/signing.pem");
const key = await importPKCS8(pem, "EdDSA", { extractable: true });
const { d: _private, ...publicKey } = await exportJWK(key);
const kid = await calculateJwkThumbprint(publicKey);

async function tokenFor(user: string): Promise<string> {
  const weir = { subscribe: [`orders/${user}/**`, "chat:*"], publish: ["chat:*"] };
  return await new SignJWT({ weir })
    .setProtectedHeader({ alg: "EdDSA", kid })
    .setSubject(user)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(key);
}

console.log(await tokenFor("ann"));
