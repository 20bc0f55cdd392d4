// Prints a token for the user "ann": node token.mjs [signing.pem]
import { readFileSync } from "node:fs";
import { argv, stdout } from "node:process";
import { mintToken } from "weir-client/server";

const key = readFileSync(argv[2] ?? "data/keys/signing.pem", "utf8");

async function tokenFor(user) {
  return await mintToken(key, {
    sub: user,
    subscribe: [`orders/${user}/**`, "chat:*"],
    publish: ["chat:*"],
  });
}

stdout.write(`${await tokenFor("ann")}\n`);
