/** Resolves with the next uncaught error, and keeps it from ending the process. */
export function nextUncaught(): Promise<unknown> {
  return new Promise((resolve) => {
    globalThis.addEventListener("error", (event) => {
      event.preventDefault();
      resolve(event.error);
    }, { once: true });
  });
}
