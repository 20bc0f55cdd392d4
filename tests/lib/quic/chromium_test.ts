import { Chromium, CHROMIUM_MISSING } from "../../support/chromium.ts";
import { browserContract } from "./browser_contract.ts";

browserContract("Chromium", {
  ignore: CHROMIUM_MISSING,
  async open(url) {
    const chromium = await Chromium.open();
    await chromium.page.goto(url);
    return {
      run: (body) => chromium.page.evaluate(`(async () => {${body}})()`),
      navigate: async (other) => void await chromium.page.goto(other),
      [Symbol.asyncDispose]: () => chromium[Symbol.asyncDispose](),
    };
  },
});
