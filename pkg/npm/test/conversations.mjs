// Plays back a conversation with Redis: the same replies give the same commands and outcomes. Epochs are random, and have names in the vectors.
import assert from 'node:assert/strict';

export function playBackConversation({ namespace, options, texts, steps }, core) {
  const epochs = new Map();
  const nameOf = (number) => {
    for (const [name, known] of epochs) if (known === number) return name;
    const name = `{epoch${epochs.size + 1}}`;
    epochs.set(name, number);
    return name;
  };
  const named = (text, hexadecimal) => hexadecimal
    ? text.replace(/(?<!\S)[0-9a-f]{16}(?!\S)/g, (found) => nameOf(BigInt(`0x${found}`)))
    : text.replace(/(?<!\S)\d{13,}(?!\S)/g, (found) => nameOf(BigInt(found)));
  const filled = (text, hexadecimal) => {
    for (const [name, number] of epochs) text = text.replaceAll(name, hexadecimal ? number.toString(16).padStart(16, '0') : String(number));
    return text;
  };
  const reply = (text) => (text.startsWith('+@') ? `+${text.slice(2).split('+').map((name) => texts[name]).join('\r\n')}` : filled(text, true));
  const redis = new core.RedisReplay(namespace, JSON.stringify(options));
  const begin = ({ insert, now }) => {
    if (insert === undefined) return redis.open(now);
    const entries = new core.Entries();
    for (const entry of insert) entries.add(core.Entry.parse(filled(JSON.stringify(entry), false)));
    return redis.batch(entries, now);
  };
  for (const [number, step] of steps.entries()) {
    let turn = begin(step);
    for (const { commands, replies } of step.turns) {
      const sent = JSON.parse(turn.commands() ?? null);
      assert.deepEqual(sent?.map((command) => command.map((argument) => named(argument, true))), commands, `step ${number}`);
      turn = replies === undefined ? turn.lost() : turn.resume(replies.map(reply), step.now);
    }
    const outcome = JSON.parse(turn.outcome() ?? null);
    assert.deepEqual({ ...outcome, answers: outcome?.answers.map((answer) => ({ ...answer, epoch: named(answer.epoch, false) })) }, step.outcome, `step ${number}`);
  }
}
