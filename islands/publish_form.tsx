import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

interface PublishFormProps {
  readonly channel: string;
  /** Called with the event's type before it is sent. */
  readonly onPublish: (type: string) => void;
}

type Outcome = { readonly isError: boolean; readonly text: string };

/** Publishes one event to the channel, and says what became of it. */
export function PublishForm({ channel, onPublish }: PublishFormProps): JSX.Element {
  const [outcome, setOutcome] = useState<Outcome>();
  const [isSending, setSending] = useState(false);
  // One key until there is an answer: who presses again after a failure doesn't publish twice.
  const key = useRef(newKey());

  async function submit(form: HTMLFormElement): Promise<void> {
    if (isSending) return;
    setSending(true);
    const fields = new FormData(form);
    const type = String(fields.get("type")).trim();
    if (type !== "") onPublish(type);
    const result = await publish(channel, {
      data: String(fields.get("data")),
      contentType: fields.get("format") === "json" ? "application/json" : "text/plain",
      type,
      key: key.current,
    });
    if (!result.isError) key.current = newKey();
    setOutcome(result);
    setSending(false);
  }

  return (
    <form
      class="card publish"
      aria-labelledby="publish-title"
      onInput={() => key.current = newKey()}
      onSubmit={(event) => {
        event.preventDefault();
        void submit(event.currentTarget);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.currentTarget.requestSubmit();
        }
      }}
    >
      <h2 id="publish-title">Publish</h2>
      <label class="field">
        <span>Data</span>
        <textarea name="data" rows={4} spellcheck={false}>{`{"hello":"world"}`}</textarea>
      </label>
      <fieldset class="choice">
        <legend>Format</legend>
        <label>
          <input type="radio" name="format" value="json" checked /> JSON
        </label>
        <label>
          <input type="radio" name="format" value="text" /> Text
        </label>
      </fieldset>
      <label class="field">
        <span>
          Type <small>optional</small>
        </span>
        <input name="type" autocomplete="off" spellcheck={false} placeholder="message" />
      </label>
      <button type="submit" disabled={isSending}>Publish</button>
      <p class={outcome?.isError ? "outcome is-error" : "outcome"} role="status">
        {outcome?.text ?? "Ctrl + Enter sends too."}
      </p>
    </form>
  );
}

interface Publication {
  readonly data: string;
  readonly contentType: string;
  readonly type: string;
  readonly key: string;
}

async function publish(
  channel: string,
  { data, contentType, type, key }: Publication,
): Promise<Outcome> {
  try {
    const response = await fetch(`/v1/channels/${encodeURIComponent(channel)}/events`, {
      method: "POST",
      headers: {
        "Content-Type": contentType,
        "Idempotency-Key": key,
        ...type !== "" && { "Weir-Type": type },
      },
      body: data,
    });
    const answer = await response.json();
    return response.ok
      ? { isError: false, text: `Stored at ${answer.offset}.` }
      : { isError: true, text: answer.detail };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { isError: true, text: `Not acknowledged: ${reason}. Publish again; it counts once.` };
  }
}

/** Not `randomUUID()`: a page that isn't on localhost or HTTPS doesn't have it. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
