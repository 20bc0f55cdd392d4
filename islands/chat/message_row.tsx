import { Component, type JSX } from "preact";
import { useState } from "preact/hooks";
import { formatCount, formatLocalClock, formatLocalDay } from "../format.ts";
import { Avatar } from "../avatar.tsx";
import type { MessageLine } from "./lines.ts";
import { linkedText } from "./linked_text.ts";
import type { RoomRow } from "./rows.ts";

/** UTF-16 units and lines of a long message that are shown until the reader unfolds it. */
const MAX_SHOWN_CHARS = 2_000;
const MAX_SHOWN_LINES = 30;

/** One line of the room. It renders again only when it has changed. */
export class RowView extends Component<{ readonly row: RoomRow }> {
  override shouldComponentUpdate({ row }: { readonly row: RoomRow }): boolean {
    const { row: old } = this.props;
    return row.line !== old.line || row.isFirst !== old.isFirst ||
      row.isNewDay !== old.isNewDay || row.isNew !== old.isNew;
  }

  override render(): JSX.Element {
    const { line, isFirst, isNewDay, isNew } = this.props.row;
    return (
      <li class="chat-row" data-key={line.offset} data-kind={line.kind}>
        {isNewDay && line.kind !== "gap" && (
          <p class="chat-rule">
            <span>{formatLocalDay(line.time)}</span>
          </p>
        )}
        {isNew && (
          <p class="chat-rule is-new">
            <span>New</span>
          </p>
        )}
        {line.kind === "message"
          ? <MessageView message={line} isFirst={isFirst} />
          : line.kind === "gap"
          ? <p class="chat-gap">{line.text}</p>
          : (
            <p class="chat-other">
              {line.count === 1 ? "Another event" : `${formatCount(line.count)} other events`}:{" "}
              <code>{line.type}</code>
            </p>
          )}
      </li>
    );
  }
}

interface MessageViewProps {
  readonly message: Pick<MessageLine, "name" | "text" | "time" | "isMine" | "writtenAt">;
  /** Whether it is the first of several of one person. */
  readonly isFirst: boolean;
  /** The state of the message, shown under the text. */
  readonly children?: JSX.Element | false;
}

export function MessageView({ message, isFirst, children }: MessageViewProps): JSX.Element {
  const { name, text, time, isMine, writtenAt } = message;
  const clock = <time dateTime={time}>{formatLocalClock(time)}</time>;
  return (
    <div class={`chat-message${isFirst ? " is-first" : ""}`} data-mine={isMine}>
      {isFirst && <Avatar name={name} />}
      {isFirst
        ? (
          <p class="chat-head">
            <bdi class="chat-name">{name}</bdi>
            {isMine && <small>you</small>}
            {clock}
          </p>
        )
        : <p class="chat-aside">{clock}</p>}
      <Text text={text} />
      {writtenAt !== undefined && (
        <p class="chat-note">
          Written {formatLocalClock(writtenAt)}, sent after reconnecting
        </p>
      )}
      {children}
    </div>
  );
}

/** Renders the text with its links. Nothing in it is markup. */
function Text({ text }: { readonly text: string }): JSX.Element {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? text : beginningOf(text);
  return (
    <div class="chat-text" dir="auto">
      {linkedText(shown).map(({ text, href }, i) =>
        href === undefined
          ? text
          : <a key={i} href={href} target="_blank" rel="noopener noreferrer nofollow">{text}</a>
      )}
      {shown.length < text.length && (
        <>
          {"… "}
          <button type="button" class="quiet chat-more" onClick={() => setWhole(true)}>
            Show all {formatCount(text.length)} characters
          </button>
        </>
      )}
    </div>
  );
}

function beginningOf(text: string): string {
  const lines = text.split("\n", MAX_SHOWN_LINES).join("\n");
  // Don't cut a surrogate pair.
  return lines.length > MAX_SHOWN_CHARS
    ? lines.slice(0, MAX_SHOWN_CHARS).replace(/[\ud800-\udbff]$/, "")
    : lines;
}
