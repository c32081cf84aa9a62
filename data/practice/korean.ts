/** The Korean half of the practice corpus: topics, each a function that tells one sentence after the other. */

import type { Random } from "../rng.ts";
import { and, by, object, subject, topic } from "./particles.ts";

const PEOPLE = [
  "어머니",
  "아버지",
  "선생님",
  "친구",
  "동생",
  "할머니",
  "이웃 아저씨",
  "민지",
  "철수",
  "학생",
  "우리 삼촌",
];

const SEASONS = [
  ["봄", "따뜻하다", "꽃이 핀다", "얇은 외투", "딸기", "새들이 돌아온다"],
  ["여름", "덥다", "아이들이 바다에서 헤엄친다", "밀짚모자", "수박", "낮이 길다"],
  ["가을", "서늘하다", "나뭇잎이 떨어진다", "스웨터", "사과", "들판이 노랗게 물든다"],
  ["겨울", "춥다", "눈이 내린다", "두꺼운 목도리", "뜨거운 국", "밤이 길다"],
] as const;
const ANIMALS = [
  ["소", "우유", "풀밭", "풀", "음매"],
  ["닭", "달걀", "마당", "옥수수", "꼬꼬댁"],
  ["양", "털", "언덕", "풀", "매애"],
  ["벌", "꿀", "벌집", "꽃가루", "윙윙"],
  ["개", "기쁨", "집", "고기", "멍멍"],
  ["고양이", "즐거움", "방", "생선", "야옹"],
] as const;
const JOBS = [
  ["제빵사", "빵", "오븐", "밀가루", "빵집", "만든다"],
  ["목수", "책상", "망치", "나무", "작업장", "만든다"],
  ["어부", "물고기", "그물", "미끼", "항구", "잡는다"],
  ["재단사", "옷", "바늘", "옷감", "가게", "만든다"],
  ["농부", "쌀", "트랙터", "씨앗", "논", "키운다"],
  ["화가", "그림", "붓", "물감", "화실", "그린다"],
] as const;
const MEALS = [
  ["아침", "빵", "커피", "일곱 시"],
  ["점심", "밥", "물", "열두 시"],
  ["저녁", "국수", "차", "여섯 시"],
] as const;
const TRIPS = [
  ["부산", "바다", "기차", "조개껍데기"],
  ["서울", "궁궐", "버스", "부채"],
  ["제주도", "오름", "비행기", "귤"],
  ["경주", "절", "자동차", "엽서"],
  ["파리", "미술관", "비행기", "그림"],
] as const;
/** Nouns made from adjectives, with their opposites. */
const OPPOSITES = [
  ["단순함", "복잡함"],
  ["느림", "빠름"],
  ["고요함", "시끄러움"],
  ["기쁨", "슬픔"],
  ["가벼움", "무거움"],
  ["새로움", "익숙함"],
] as const;
const PROVERBS = [
  "가는 말이 고와야 오는 말이 곱다.",
  "낮말은 새가 듣고 밤말은 쥐가 듣는다.",
  "원숭이도 나무에서 떨어진다.",
  "천 리 길도 한 걸음부터 시작한다.",
  "백지장도 맞들면 낫다.",
  "티끌 모아 태산이다.",
  "고생 끝에 낙이 온다.",
  "세 살 버릇이 여든까지 간다.",
];

const LEADS = [
  "누구나 알듯이",
  "우리 마을에서는",
  "해마다",
  "옛날이야기에 따르면",
  "요즘도",
  "아버지 말씀대로",
  "이 고장에서는",
];
const LINKS = ["그리고", "그래서", "그런데", "하지만"];

/** One document on one topic: plain sentences, sentences with a lead, and pairs joined by a conjunction. */
export function koreanDocument(random: Random): string[] {
  const tell = random.pick([seasons, animals, work, meals, travel, wisdom])(random);
  const sentence = () => {
    const form = random.uniform();
    if (form < 0.5) return tell();
    if (form < 0.75) return `${random.pick(LEADS)} ${tell()}`;
    return `${tell()} ${random.pick(LINKS)} ${tell()}`;
  };
  return [...new Set(Array.from({ length: 4 + random.below(5) }, sentence))];
}

function seasons(random: Random): () => string {
  const [season, weather, event, clothes, food, sign] = random.pick(SEASONS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `${season}에는 날씨가 ${weather}.`,
      `${season}에는 ${event}.`,
      `${season}이 오면 ${event}.`,
      `${topic(who)} ${season}에 ${object(clothes)} 입는다.`.replace(/(모자|도리)를 입는다/, "$1를 쓴다").replace(
        "도리를 쓴다",
        "도리를 두른다",
      ),
      `시장에서는 ${season}에 ${object(food)} 판다.`,
      `${season}에 먹는 ${subject(food)} 가장 맛있다.`,
      `${season}에는 ${
        event.replace(/다$/, "고").replace("친고", "치고").replace("핀고", "피고").replace("진고", "지고").replace(
          "린고",
          "리고",
        )
      } ${sign}.`,
      `${topic(who)} ${object(season)} 좋아한다.`,
    ]);
}

function animals(random: Random): () => string {
  const [animal, gives, place, food, sound] = random.pick(ANIMALS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `${topic(animal)} ${place}에 산다.`,
      `${topic(animal)} ${object(food)} 먹는다.`,
      `${topic(animal)} 우리에게 ${object(gives)} 준다.`,
      `배가 고프면 ${subject(animal)} ${sound} 운다.`.replace("벌이 윙윙 운다", "벌이 윙윙 난다").replace(
        "멍멍 운다",
        "멍멍 짖는다",
      ),
      `${subject(who)} ${animal}에게 ${object(food)} 준다.`,
      `${place}에는 ${subject(animal)} 있다.`,
    ]);
}

function work(random: Random): () => string {
  const [job, product, tool, material, place, verb] = random.pick(JOBS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `${topic(job)} ${object(product)} ${verb}.`,
      `${topic(job)} ${place}에서 일한다.`,
      `${topic(job)} 날마다 ${object(tool)} 쓴다.`,
      `${topic(job)} 일을 하려면 ${subject(material)} 필요하다.`,
      `${topic(who)} ${subject(job)} 되고 싶어 한다.`,
      `${topic(job)} ${and(tool)} ${object(material)} 아낀다.`,
    ]);
}

function meals(random: Random): () => string {
  const [meal, food, drink, hour] = random.pick(MEALS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `${meal}에는 ${object(food)} 먹는다.`,
      `${topic(who)} ${meal}마다 ${object(drink)} 마신다.`,
      `${topic(meal)} ${hour}에 먹는다.`,
      `${subject(who)} ${meal}에 먹을 ${object(food)} 준비한다.`,
      `${and(food)} 함께 ${object(drink)} 마신다.`,
    ]);
}

function travel(random: Random): () => string {
  const [place, sight, means, souvenir] = random.pick(TRIPS);
  const who = random.pick(PEOPLE);
  const time = random.pick(["작년에", "지난여름에", "두 주 전에", "오월에"]);
  return () =>
    random.pick([
      `${time} ${topic(who)} ${by(means)} ${place}에 갔다.`,
      `사람들은 ${object(sight)} 보러 ${place}에 간다.`,
      `${place}에 가려면 ${object(means)} 타야 한다.`,
      `${topic(who)} ${place}에서 ${object(souvenir)} 사 왔다.`,
      `${place}에서는 ${subject(sight)} 가장 아름답다.`,
    ]);
}

function wisdom(random: Random): () => string {
  const [one, other] = random.pick(OPPOSITES);
  // Said both ways round: the other of the two is always the answer, whichever stands in the sentence.
  const both = () => random.pick([[one, other], [other, one]]);
  return () => {
    const [a, b] = both();
    return random.pick([
      `${object(a)} 얻기란 ${object(b)} 얻기보다 어렵다.`,
      `${object(a)} 얻기란 ${object(b)} 얻기보다 쉽다.`,
      `${topic(a)} ${b}보다 오래 남는다.`,
      `${and(a)} ${topic(b)} 서로 다르다.`,
      `${a} 뒤에는 ${subject(b)} 온다.`,
      `${object(a)} 알아야 ${object(b)} 안다.`,
      random.pick(PROVERBS),
    ]);
  };
}
