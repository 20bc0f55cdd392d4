import type { JSX } from "preact";
import type { ChatState } from "./chat_state.ts";
import { Avatar } from "../avatar.tsx";

interface PeoplePanelProps {
  /** Undefined until the page runs. */
  readonly chat: ChatState | undefined;
}

/** Lists the people in the room. */
export function PeoplePanel({ chat }: PeoplePanelProps): JSX.Element {
  const people = chat?.people.value;
  const here = people?.present.value ?? [];
  const problem = people?.problem.value;
  return (
    <aside
      id="people-panel"
      class="chat-panel is-people"
      tabIndex={-1}
      aria-labelledby="people-title"
    >
      <h2 id="people-title">
        Here now {here.length > 0 && <small class="number">{here.length}</small>}
      </h2>
      {chat !== undefined && people === undefined && (
        <p class="empty">You don't have permission to see who is here.</p>
      )}
      {problem !== undefined && <p class="outcome is-error">Others can't see you: {problem}</p>}
      <ul class="list">
        {here.map(({ member, name, isMe }) => (
          <li key={member} class="chat-person" data-member={member}>
            <Avatar name={name} />
            <bdi class="ellipsis">{name}</bdi>
            {isMe && <small>you</small>}
          </li>
        ))}
      </ul>
    </aside>
  );
}
