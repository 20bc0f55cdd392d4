/** The next error that nobody catches, which then ends nothing. */
export function nextUncaught(): Promise<unknown> {
  return new Promise((resolve) => {
    globalThis.addEventListener("error", (event) => {
      event.preventDefault();
      resolve(event.error);
    }, { once: true });
  });
}
