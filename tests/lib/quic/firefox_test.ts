import { Firefox, FIREFOX_MISSING } from "../../support/firefox.ts";
import { browserContract } from "./browser_contract.ts";

browserContract("Firefox", {
  ignore: FIREFOX_MISSING,
  async open(url) {
    const firefox = await Firefox.open();
    const tab = await firefox.openPage(url, () => {});
    return {
      run: async (body) => {
        const script = `(async () => JSON.stringify(await (async () => {${body}})()) ?? "null")()`;
        return JSON.parse(await firefox.evaluate(tab, script));
      },
      navigate: (other) => firefox.navigate(tab, other),
      [Symbol.asyncDispose]: () => firefox[Symbol.asyncDispose](),
    };
  },
});
