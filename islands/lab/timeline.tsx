import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type LaneRecord, type LaneSpan, WINDOW_MS } from "./lane_record.ts";

/** Sizes are in CSS pixels. */
const BAR_HEIGHT = 10;
const DOT_RADIUS = 3;
/** Keeps very short requests visible. */
const MIN_BAR_WIDTH = 2;
/** The space between two requests. */
const BAR_SPACE = 1;
/** The latency at the top. The scale is logarithmic and spans this many decades. */
export const MAX_LATENCY_MS = 3_000;
const DECADES = 4;
/** The latency at the bottom. */
export const MIN_LATENCY_MS = MAX_LATENCY_MS / 10 ** DECADES;

interface LaneTimelineProps {
  readonly record: LaneRecord;
  /** Describes the drawing for screen readers. */
  readonly label: string;
  /** `performance.now()` at the right edge. @default now */
  readonly until?: number | undefined;
}

/**
 * Draws the last 20 s of a lane: connections and requests as bars and events as dots. A higher dot
 * arrived later.
 */
export function LaneTimeline({ record, label, until }: LaneTimelineProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let frame = requestAnimationFrame(function draw() {
      if (canvas.current !== null) paint(canvas.current, record, until ?? performance.now());
      frame = requestAnimationFrame(draw);
    });
    return () => cancelAnimationFrame(frame);
  }, [record, until]);
  return <canvas ref={canvas} class="timeline" role="img" aria-label={label}></canvas>;
}

function paint(canvas: HTMLCanvasElement, record: LaneRecord, now: number): void {
  const { clientWidth, clientHeight } = canvas;
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(clientWidth * scale)) {
    canvas.width = Math.round(clientWidth * scale);
    canvas.height = Math.round(clientHeight * scale);
  }
  const context = canvas.getContext("2d");
  if (context === null) return;
  record.trim(now);
  const style = getComputedStyle(canvas);
  const color = (token: string) => style.getPropertyValue(token);
  const x = (at: number) => clientWidth * (1 - (now - at) / WINDOW_MS);
  const bar = ({ from, to = now }: LaneSpan, top: number, height: number) => {
    const left = Math.max(0, x(from));
    context.fillRect(left, top, Math.max(MIN_BAR_WIDTH, x(to) - left - BAR_SPACE), height);
  };
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  context.fillStyle = color("--cut");
  for (const cut of record.cuts) bar(cut, 0, clientHeight);
  context.fillStyle = color("--bar");
  for (const span of record.spans) bar(span, clientHeight - BAR_HEIGHT, BAR_HEIGHT);
  context.fillStyle = color("--dot");
  const room = clientHeight - BAR_HEIGHT - 2 * DOT_RADIUS;
  for (const { at, latency } of record.arrivals) {
    context.beginPath();
    context.arc(x(at), DOT_RADIUS + room * (1 - heightOf(latency)), DOT_RADIUS, 0, 2 * Math.PI);
    context.fill();
  }
}

/** Returns a height from 0 (no latency) to 1. */
function heightOf(latency = 0): number {
  const height = 1 + Math.log10(Math.max(latency, 1e-3) / MAX_LATENCY_MS) / DECADES;
  return Math.min(1, Math.max(0, height));
}
