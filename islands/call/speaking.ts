/** Finds out who speaks, from the volume of audio tracks. */

/** Root mean square of the samples (from 0 to 1) from which someone counts as speaking. */
const SPEAKING_LEVEL = 0.02;
/** How long someone counts as speaking after the last sound: longer than pauses between words. */
const HOLD_MS = 700;
/** How often volumes are measured. */
const TICK_MS = 100;
/** Samples for each measurement: 43 ms at 48 kHz. */
const SAMPLES = 2_048;

interface Voice {
  readonly analyser: AnalyserNode;
  readonly source: MediaStreamAudioSourceNode;
  readonly onSpeaking: (isSpeaking: boolean) => void;
  isSpeaking: boolean;
  loudAt: number;
}

/** Tells who speaks of those whose audio tracks it hears. Plays nothing. */
export class SpeakingMeter implements Disposable {
  readonly #voices = new Set<Voice>();
  readonly #samples = new Float32Array(SAMPLES);
  #context: AudioContext | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Calls `onSpeaking` after each change. Returns a function that stops it. */
  follow(track: MediaStreamTrack, onSpeaking: (isSpeaking: boolean) => void): () => void {
    const context = this.#context ??= new AudioContext();
    // A page without a click may not start it; browsers resume it after the next one.
    if (context.state === "suspended") void context.resume();
    const source = context.createMediaStreamSource(new MediaStream([track]));
    const analyser = context.createAnalyser();
    analyser.fftSize = SAMPLES;
    source.connect(analyser);
    const voice = { analyser, source, onSpeaking, isSpeaking: false, loudAt: -Infinity };
    this.#voices.add(voice);
    this.#timer ??= setInterval(() => this.#measure(performance.now()), TICK_MS);
    return () => {
      source.disconnect();
      this.#voices.delete(voice);
      if (voice.isSpeaking) onSpeaking(false);
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    void this.#context?.close();
  }

  #measure(now: number): void {
    for (const voice of this.#voices) {
      voice.analyser.getFloatTimeDomainData(this.#samples);
      if (levelOf(this.#samples) >= SPEAKING_LEVEL) voice.loudAt = now;
      const isSpeaking = now - voice.loudAt < HOLD_MS;
      if (isSpeaking === voice.isSpeaking) continue;
      voice.isSpeaking = isSpeaking;
      voice.onSpeaking(isSpeaking);
    }
  }
}

/** Returns the root mean square of samples between -1 and 1. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}
