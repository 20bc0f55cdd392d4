import type { IncomingFile, SendFileOptions } from "../../lib/client/rtc/api.ts";
import { Files } from "../../lib/client/rtc/files/files.ts";
import { MEMORY_STORAGE } from "../../lib/client/rtc/files/memory_storage.ts";
import { HEADER_BYTES } from "../../lib/client/rtc/files/layout.ts";
import { type Chunk, writeHeader } from "../../lib/client/rtc/files/protocol.ts";
import type { FileRecord, FileStorage, PartialFile } from "../../lib/client/rtc/files/storage.ts";
import { OutgoingTransfer } from "../../lib/client/rtc/files/transfer.ts";
import { FakeNetwork } from "./fake_channels.ts";

interface Options {
  readonly lossRate?: number;
  readonly random?: () => number;
  readonly storage?: FileStorage;
  readonly onFile?: (transfer: IncomingFile) => boolean;
}

/** Calls of the runtime that a transfer which ends leaves behind. A test must not outlive them. */
const callsUnderWay = new Set<Promise<unknown>>();

function watch<T>(call: Promise<T>): Promise<T> {
  callsUnderWay.add(call);
  const forget = () => void callsUnderWay.delete(call);
  call.then(forget, forget);
  return call;
}

const { digest } = crypto.subtle;
crypto.subtle.digest = (...args) => watch(digest.apply(crypto.subtle, args));
const { read } = ReadableStreamDefaultReader.prototype;
ReadableStreamDefaultReader.prototype.read = function () {
  return watch(read.call(this));
};

/** Ann and bob, who transfer files over a simulated network. */
export class FileWorld implements AsyncDisposable {
  readonly network: FakeNetwork;
  readonly pair: ReturnType<FakeNetwork["connect"]>;
  readonly received: IncomingFile[] = [];
  readonly #timers = new Set<unknown>();
  readonly ann: Files;
  /** Bob has left, for ann. */
  readonly removeBob: () => void;
  readonly bob: Files;

  constructor({ storage = MEMORY_STORAGE, onFile, ...network }: Options = {}) {
    this.network = new FakeNetwork(network);
    this.pair = this.network.connect("ann", "bob");
    this.ann = this.files(() => false, MEMORY_STORAGE);
    this.bob = this.files(
      onFile ?? ((transfer) => {
        this.received.push(transfer);
        transfer.accept();
        return true;
      }),
      storage,
    );
    this.removeBob = this.ann.addPeer(this.pair.a);
    this.bob.addPeer(this.pair.b);
    const { a, b } = this.pair;
    a.onSignal = (data) => this.ann.receive(a, data);
    b.onSignal = (data) => this.bob.receive(b, data);
  }

  files(onFile: (transfer: IncomingFile) => boolean, storage: FileStorage): Files {
    return new Files({
      onFile,
      storage,
      now: () => Date.now(),
      // A hundredth of the time, so that rounds of repair and the wait for a peer are short.
      setTimeout: (callback, delayMs) => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          callback();
        }, delayMs / 100);
        this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        clearTimeout(timer as number | undefined);
        this.#timers.delete(timer);
      },
    });
  }

  send(file: Blob, options?: SendFileOptions, chunkBytes?: number): OutgoingTransfer {
    const transfer = new OutgoingTransfer(file, this.pair.a, options, chunkBytes);
    this.ann.send(transfer);
    return transfer;
  }

  /** Ends all transfers. Resolves once what they were reading and hashing is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.ann.close();
    this.bob.close();
    this.network.close();
    for (const timer of this.#timers) clearTimeout(timer as number);
    do {
      await Promise.allSettled(callsUnderWay);
      await new Promise((resolve) => setTimeout(resolve)); // some begin another call
    } while (callsUnderWay.size > 0);
  }
}

export function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  }
  return bytes;
}

export async function bytesOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.arrayBuffer());
}

/** Returns the message of a chunk. */
export function encodeChunk({ index, hash, bytes }: Chunk): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(HEADER_BYTES + bytes.length);
  message.set(bytes, HEADER_BYTES);
  writeHeader(message, index, hash);
  return message;
}

/** Storage in memory that stores some chunks, and holds those after them until it is released. */
export class HeldStorage implements FileStorage {
  /** Chunks that are stored. */
  written = 0;
  /** Bytes that wait to be stored. */
  waitingBytes = 0;
  readonly #held: (() => void)[] = [];
  #free: number;

  constructor(free: number) {
    this.#free = free;
  }

  async create(record: FileRecord): Promise<PartialFile> {
    const file = await MEMORY_STORAGE.create(record);
    const write = file.write.bind(file);
    return Object.assign(file, {
      write: async (chunk: Chunk) => {
        this.waitingBytes += chunk.bytes.length;
        if (this.#free-- <= 0) await new Promise<void>((resolve) => this.#held.push(resolve));
        this.waitingBytes -= chunk.bytes.length;
        await write(chunk);
        this.written++;
      },
    });
  }

  find(record: FileRecord): Promise<PartialFile | undefined> {
    return MEMORY_STORAGE.find(record);
  }

  /** Stores one chunk that is held. */
  releaseOne(): void {
    this.#held.shift()?.();
  }

  /** Stores all chunks, also those to come. */
  release(): void {
    this.#free = Infinity;
    for (const resolve of this.#held.splice(0)) resolve();
  }
}
