/* Asks the server: of each kind of question only the newest is worth an answer. */

/** Asks once. @throws {Error} what the server says is wrong. */
export async function ask(path, question) {
  const response = await fetch(path, {
    method: question === undefined ? "GET" : "POST",
    ...(question === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(question) }),
  });
  const answer = await response.json();
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.error), { hint: answer.hint, status: response.status });
}

/**
 * A line of questions of which one is under way and only the newest waits: typing fast never piles them up. `show` gets the
 * answer unless a newer question was asked meanwhile.
 */
export function newestOnly(answerOf, show) {
  let waiting, busy = false;
  const run = async () => {
    busy = true;
    while (waiting !== undefined) {
      const question = waiting;
      waiting = undefined;
      let answer, problem;
      try {
        answer = await answerOf(question);
      } catch (error) {
        problem = error;
      }
      if (waiting === undefined) show(answer, problem, question);
    }
    busy = false;
  };
  return (question) => {
    waiting = question;
    if (!busy) run();
  };
}

/** An element with its text, classes and children. Text never becomes markup. */
export function element(name, { text, children = [], ...properties } = {}) {
  const node = Object.assign(document.createElement(name), properties);
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);
/** `1234567` → `1,234,567` */
export const grouped = (n) => Math.round(n).toLocaleString("en-US");
export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)}%`;
export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
