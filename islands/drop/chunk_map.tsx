import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { cellsOf, type ChunkCell } from "./chunk_cells.ts";

/** Sizes are in CSS pixels. */
const CELL = 8;
const SPACE = 2;
const MAX_ROWS = 6;

interface ChunkMapProps {
  readonly chunks: Uint8Array;
  /** Describes the drawing for screen readers. */
  readonly label: string;
}

/** Draws the chunks of a file as small squares, in the order of the file. */
export function ChunkMap({ chunks, label }: ChunkMapProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  // A render comes with new chunks; the array may be the same one.
  useEffect(() => {
    if (canvas.current !== null) paint(canvas.current, chunks);
  });
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const repaint = () => paint(element, chunks);
    const observer = new ResizeObserver(repaint);
    observer.observe(element);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", repaint);
    return () => {
      observer.disconnect();
      theme.removeEventListener("change", repaint);
    };
  }, [chunks]);
  return <canvas ref={canvas} class="chunk-map" role="img" aria-label={label}></canvas>;
}

function paint(canvas: HTMLCanvasElement, chunks: Uint8Array): void {
  const width = canvas.clientWidth;
  const columns = Math.max(1, Math.floor((width + SPACE) / (CELL + SPACE)));
  const cells = cellsOf(chunks, columns * MAX_ROWS);
  const rows = Math.max(1, Math.ceil(cells.length / columns));
  const height = rows * (CELL + SPACE) - SPACE;
  const scale = devicePixelRatio;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  if (context === null) return;
  const style = getComputedStyle(canvas);
  const colors = {
    missing: style.getPropertyValue("--missing"),
    received: style.getPropertyValue("--received"),
    lost: style.getPropertyValue("--lost"),
    repaired: style.getPropertyValue("--repaired"),
  };
  context.scale(scale, scale);
  for (const [i, cell] of cells.entries()) {
    const x = i % columns * (CELL + SPACE);
    const y = Math.floor(i / columns) * (CELL + SPACE);
    paintCell(context, cell, { x, y }, colors);
  }
}

function paintCell(
  context: CanvasRenderingContext2D,
  { arrived, hasLost, hasRepaired }: ChunkCell,
  { x, y }: { readonly x: number; readonly y: number },
  colors: Readonly<Record<"missing" | "received" | "lost" | "repaired", string>>,
): void {
  context.fillStyle = colors.missing;
  context.fillRect(x, y, CELL, CELL);
  context.fillStyle = hasRepaired ? colors.repaired : colors.received;
  const filled = CELL * arrived;
  context.fillRect(x, y + CELL - filled, CELL, filled);
  if (!hasLost) return;
  context.fillStyle = colors.lost;
  context.fillRect(x, y, CELL, CELL - Math.min(filled, CELL / 2));
}
