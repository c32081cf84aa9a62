/** One of the workers of bench/tokenizer.ts: builds the tokenizer that it is sent, then encodes its range of a text. */

import { IdBuffer, type Tokenizer, type TokenizerData, tokenizerFrom } from "../tokenizer/mod.ts";

type Message = { tokenizer: TokenizerData } | { bytes: Uint8Array; from: number; to: number };
const scope = self as unknown as {
  onmessage: (event: MessageEvent<Message>) => void;
  postMessage: (message: unknown, transfer?: Transferable[]) => void;
};
let tokenizer: Tokenizer;

scope.onmessage = ({ data }) => {
  if ("tokenizer" in data) {
    tokenizer = tokenizerFrom(data.tokenizer);
    scope.postMessage("ready");
    return;
  }
  const ids = new IdBuffer();
  for (let from = data.from; from < data.to;) {
    const end = data.bytes.indexOf(10, from);
    const to = end < 0 || end > data.to ? data.to : end;
    tokenizer.encodeUtf8(data.bytes, from, to, ids);
    from = to + 1;
  }
  const view = ids.view();
  scope.postMessage(view, [view.buffer]);
};
