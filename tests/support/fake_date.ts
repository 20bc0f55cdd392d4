/** `Date.now` that a test moves, until it is disposed of. */
export class FakeDate implements Disposable {
  readonly #real = Date.now;
  #passed = 0;

  constructor() {
    Date.now = () => this.#real() + this.#passed;
  }

  pass(milliseconds: number): void {
    this.#passed += milliseconds;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real;
  }
}
