/** Korean particles that depend on how the word before them ends. */

/** Whether the last syllable ends in a consonant (batchim), and whether that is ㄹ. */
function ending(word: string): { consonant: boolean; rieul: boolean } {
  const code = word.charCodeAt(word.length - 1) - 0xAC00;
  const final = code >= 0 && code < 11172 ? code % 28 : 0;
  return { consonant: final > 0, rieul: final === 8 };
}

/** 은 or 는: the topic. */
export const topic = (word: string) => word + (ending(word).consonant ? "은" : "는");
/** 이 or 가: the subject. */
export const subject = (word: string) => word + (ending(word).consonant ? "이" : "가");
/** 을 or 를: the object. */
export const object = (word: string) => word + (ending(word).consonant ? "을" : "를");
/** 과 or 와: and. */
export const and = (word: string) => word + (ending(word).consonant ? "과" : "와");
/** 으로 or 로: with, towards. */
export const by = (word: string) => word + (ending(word).consonant && !ending(word).rieul ? "으로" : "로");
