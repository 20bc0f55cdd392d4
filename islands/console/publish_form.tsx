import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { randomId } from "../../lib/shared/random_id.ts";
import { type EventInput, type FormOutcome, publishInput } from "./publishing.ts";

interface PublishFormProps {
  readonly channel: string;
}

/** Publishes one event to the channel and shows the result. */
export function PublishForm({ channel }: PublishFormProps): JSX.Element {
  const [outcome, setOutcome] = useState<FormOutcome>();
  const [isSending, setSending] = useState(false);
  const [isEphemeral, setEphemeral] = useState(false);
  // Kept until the event is stored, so that a second try after a failure does not publish it twice.
  const id = useRef("");

  async function submit(form: HTMLFormElement): Promise<void> {
    if (isSending) return;
    setSending(true);
    if (id.current === "") id.current = randomId();
    const result = await publishInput(channel, inputOf(form), id.current);
    if (!result.isError) id.current = "";
    setOutcome(result);
    setSending(false);
  }

  return (
    <form
      class="publish stack"
      aria-label="Publish"
      onInput={() => id.current = ""}
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
      <label class="field">
        <span>Data</span>
        <textarea name="data" rows={6} spellcheck={false}>{`{"hello":"world"}`}</textarea>
      </label>
      <FormatChoice isEphemeral={isEphemeral} onEphemeral={setEphemeral} />
      <OptionFields isEphemeral={isEphemeral} />
      <div class="row">
        <button type="submit" disabled={isSending}>Publish</button>
        <small>
          <kbd>Ctrl</kbd> + <kbd>Enter</kbd>
        </small>
      </div>
      <p class={outcome?.isError ? "outcome is-error" : "outcome"} role="status">
        {outcome?.text ??
          (isEphemeral
            ? "Only current subscribers get it. It is not stored."
            : "The result appears here.")}
      </p>
    </form>
  );
}

interface FormatChoiceProps {
  readonly isEphemeral: boolean;
  readonly onEphemeral: (isEphemeral: boolean) => void;
}

function FormatChoice({ isEphemeral, onEphemeral }: FormatChoiceProps): JSX.Element {
  return (
    <fieldset class="choice">
      <legend class="hidden-visually">Format</legend>
      <label>
        <input type="radio" name="format" value="json" defaultChecked /> JSON
      </label>
      <label>
        <input type="radio" name="format" value="text" /> Text
      </label>
      <label>
        <input
          type="checkbox"
          name="ephemeral"
          checked={isEphemeral}
          onChange={({ currentTarget }) => onEphemeral(currentTarget.checked)}
        />{" "}
        Ephemeral
      </label>
    </fieldset>
  );
}

function OptionFields({ isEphemeral }: { readonly isEphemeral: boolean }): JSX.Element {
  return (
    <div class="pairs">
      <Field name="type" label="Type" placeholder="message" />
      <Field name="key" label="Key" isDisabled={isEphemeral} />
      <Field name="id" label="Id" isDisabled={isEphemeral} placeholder="random" />
      <Field
        name="ttl"
        label="Time to live, seconds"
        isDisabled={isEphemeral}
        inputMode="numeric"
      />
    </div>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly placeholder?: string;
  readonly inputMode?: "numeric";
  /** Whether the field does not apply: ephemeral events have no key, id or time to live. */
  readonly isDisabled?: boolean;
}

function Field(
  { name, label, placeholder = "none", inputMode, isDisabled = false }: FieldProps,
): JSX.Element {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        name={name}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        disabled={isDisabled}
        {...inputMode !== undefined && { inputMode }}
      />
    </label>
  );
}

function inputOf(form: HTMLFormElement): EventInput {
  const fields = new FormData(form);
  const text = (name: string) => String(fields.get(name) ?? "").trim();
  return {
    data: String(fields.get("data")),
    format: fields.get("format") === "json" ? "json" : "text",
    type: text("type"),
    key: text("key"),
    id: text("id"),
    ttl: text("ttl"),
    isEphemeral: fields.has("ephemeral"),
  };
}
