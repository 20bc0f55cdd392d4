import { type RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { SpeakingMeter } from "./speaking.ts";

/**
 * Plays the stream in the element of the returned reference.
 *
 * @param onBlocked called if the browser plays no sound before a click
 */
export function useVideo(
  stream: MediaStream | undefined,
  onBlocked?: () => void,
): RefObject<HTMLVideoElement | null> {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    element.srcObject = stream ?? null;
    if (stream === undefined) return;
    element.play().catch((cause) => {
      // An `AbortError` means that another stream has taken its place.
      if (cause instanceof DOMException && cause.name === "NotAllowedError") onBlocked?.();
    });
  }, [stream]);
  return video;
}

/**
 * Returns a stream with this track alone. A video element may stop when a track of its stream is
 * exchanged for another one.
 */
export function useStream(track: MediaStreamTrack | undefined): MediaStream | undefined {
  return useMemo(() => track && new MediaStream([track]), [track]);
}

/** Tells whether there is someone speaking on the stream. */
export function useSpeaking(
  meter: SpeakingMeter | undefined,
  track: MediaStreamTrack | undefined,
): boolean {
  const [isSpeaking, setSpeaking] = useState(false);
  useEffect(() => {
    if (meter === undefined || track === undefined) return;
    return meter.follow(track, setSpeaking);
  }, [meter, track]);
  return isSpeaking;
}
