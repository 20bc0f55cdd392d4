/** Which kinds of a stream's tracks are muted, by the stream's id. */
export type MutedKinds = Readonly<Record<string, readonly string[]>>;

/** The tracks that this client sends to every peer, with their streams. */
export class LocalMedia {
  readonly #streams = new Map<MediaStreamTrack, MediaStream>();

  get tracks(): Iterable<readonly [MediaStreamTrack, MediaStream]> {
    return this.#streams;
  }

  add(track: MediaStreamTrack, stream: MediaStream): void {
    this.#streams.set(track, stream);
  }

  remove(track: MediaStreamTrack): void {
    this.#streams.delete(track);
  }

  replace(old: MediaStreamTrack, next: MediaStreamTrack): void {
    const stream = this.#streams.get(old);
    this.#streams.delete(old);
    if (stream) this.#streams.set(next, stream);
  }

  get muted(): MutedKinds {
    const muted: Record<string, string[]> = {};
    for (const [{ enabled, kind }, { id }] of this.#streams) {
      if (!enabled) (muted[id] ??= []).push(kind);
    }
    return muted;
  }
}
