/** The English half of the practice corpus: topics, each a function that tells one sentence after the other. */

import type { Random } from "../rng.ts";

const PEOPLE = [
  "my mother",
  "our neighbour",
  "the teacher",
  "an old friend",
  "my brother",
  "the girl next door",
  "Anna",
]
  .concat(["the children", "my uncle", "Peter", "her grandfather", "the young woman", "Minji", "the student"]);

const SEASONS = {
  spring: ["mild", "the flowers bloom in the garden", "a light coat", "strawberries", "the birds come back", "March"],
  summer: ["hot", "the children swim in the lake", "a straw hat", "watermelon", "the days are long", "July"],
  autumn: ["cool", "the leaves fall from the trees", "a warm sweater", "apples", "the fields turn yellow", "October"],
  winter: ["cold", "the snow falls on the roofs", "a thick scarf", "hot soup", "the nights are long", "January"],
};
const ANIMALS = [
  ["cow", "milk", "the meadow", "grass", "moos"],
  ["hen", "eggs", "the yard", "corn", "clucks"],
  ["sheep", "wool", "the hill", "grass", "bleats"],
  ["bee", "honey", "the hive", "nectar", "hums"],
  ["dog", "company", "the house", "meat", "barks"],
  ["cat", "quiet evenings", "the sofa", "fish", "purrs"],
] as const;
const JOBS = [
  ["baker", "bread", "the oven", "flour", "the bakery"],
  ["carpenter", "tables", "a hammer", "wood", "the workshop"],
  ["fisherman", "fish", "a net", "bait", "the harbour"],
  ["tailor", "coats", "a needle", "cloth", "the shop"],
  ["farmer", "rice", "a tractor", "seed", "the field"],
  ["painter", "pictures", "a brush", "colours", "the studio"],
  ["doctor", "sick people", "a stethoscope", "medicine", "the hospital"],
] as const;
const MEALS = [
  ["breakfast", "morning", "bread and butter", "coffee", "seven"],
  ["lunch", "noon", "rice and vegetables", "water", "twelve"],
  ["dinner", "evening", "soup and fish", "tea", "seven"],
] as const;
const TRIPS = [
  ["Busan", "the sea", "by train", "the beach", "a shell"],
  ["London", "the museums", "by plane", "the bridge", "an umbrella"],
  ["Paris", "the cafés", "by plane", "the tower", "a painting"],
  ["Seoul", "the palaces", "by bus", "the old market", "a fan"],
  ["the mountains", "the clear air", "by car", "the summit", "a stone"],
  ["the island", "the quiet villages", "by ship", "the lighthouse", "a photograph"],
] as const;
const OPPOSITES = [
  ["simple", "complicated"],
  ["easy", "difficult"],
  ["slow", "fast"],
  ["cheap", "expensive"],
  ["small", "large"],
  ["young", "old"],
  ["early", "late"],
] as const;
const PROVERBS = [
  "the early bird catches the worm.",
  "many hands make light work.",
  "a stitch in time saves nine.",
  "actions speak louder than words.",
  "better late than never.",
  "practice makes perfect.",
  "where there is smoke, there is fire.",
  "honesty is the best policy.",
  "slow and steady wins the race.",
  "all that glitters is not gold.",
];

const capital = (text: string) => text[0].toUpperCase() + text.slice(1);

const LEADS = ["as everyone knows", "in our village", "every year", "my father says that", "it is true that"]
  .concat(["in the old story", "on this farm", "people say that", "at home", "here in the country"]);
const LINKS = [", and ", ", but ", ", so ", " while ", " because "];

/** One document on one topic: plain sentences, sentences with a lead, and pairs joined into one. */
export function englishDocument(random: Random): string[] {
  const tell = random.pick([seasons, animals, work, meals, travel, wisdom])(random);
  const sentence = () => {
    const form = random.uniform();
    if (form < 0.5) return tell();
    if (form < 0.75) return `${random.pick(LEADS)} ${tell()}`;
    return tell().replace(/\.$/, random.pick(LINKS)) + tell();
  };
  const sentences = Array.from({ length: 4 + random.below(5) }, () => capital(sentence()));
  return [...new Set(sentences)];
}

function seasons(random: Random): () => string {
  const season = random.pick(Object.keys(SEASONS) as (keyof typeof SEASONS)[]);
  const [weather, event, clothes, food, sign, month] = SEASONS[season];
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `in ${season} the weather is ${weather}.`,
      `in ${season} ${event}.`,
      `every ${season} ${event}, and ${sign}.`,
      `${who} wears ${clothes} in ${season}.`,
      `${who} likes ${season} because ${sign}.`,
      `in ${month} it is ${weather}, so ${who} wears ${clothes}.`,
      `the market sells ${food} in ${season}.`,
      `${season} begins when ${sign}.`,
      `when ${season} comes, ${event}.`,
      `nothing tastes better in ${season} than ${food}.`,
    ]);
}

function animals(random: Random): () => string {
  const [animal, gives, place, food, sound] = random.pick(ANIMALS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `the ${animal} lives in ${place}.`.replace("in the hill", "on the hill").replace("in the sofa", "on the sofa"),
      `the ${animal} eats ${food}.`,
      `the ${animal} gives us ${gives}.`,
      `the ${animal} ${sound} when it is hungry.`,
      `${who} feeds the ${animal} with ${food}.`,
      `early in the morning the ${animal} ${sound}.`,
      `we thank the ${animal} for ${gives}.`,
      `a ${animal} that eats ${food} is healthy.`,
    ]);
}

function work(random: Random): () => string {
  const [job, makes, tool, material, place] = random.pick(JOBS);
  const who = random.pick(PEOPLE);
  const verb = { fisherman: "catches", farmer: "grows", doctor: "helps", painter: "paints" }[job as string] ?? "makes";
  return () =>
    random.pick([
      `the ${job} ${verb} ${makes}.`,
      `the ${job} works in ${place}.`.replace("in the harbour", "at the harbour"),
      `the ${job} uses ${tool} every day.`,
      `the ${job} needs ${material} for the work.`,
      `without ${material} the ${job} cannot work.`,
      `${who} wants to become a ${job}.`,
      `${who} visited the ${job} and saw ${tool}.`,
      `a good ${job} takes care of ${tool}.`,
    ]);
}

function meals(random: Random): () => string {
  const [meal, time, food, drink, hour] = random.pick(MEALS);
  const who = random.pick(PEOPLE);
  return () =>
    random.pick([
      `for ${meal} we eat ${food}.`,
      `in the ${time} ${who} drinks ${drink}.`.replace("in the noon", "at noon"),
      `${meal} is ready at ${hour} o'clock.`,
      `${who} cooks ${food} for ${meal}.`,
      `with ${food} we drink ${drink}.`,
      `after ${meal} ${who} washes the dishes.`,
      `${who} asked for more ${drink}.`,
    ]);
}

function travel(random: Random): () => string {
  const [place, sight, means, walk, souvenir] = random.pick(TRIPS);
  const who = random.pick(PEOPLE);
  const time = random.pick(["last year", "last summer", "two weeks ago", "in May"]);
  return () =>
    random.pick([
      `${time} ${who} travelled to ${place} ${means}.`,
      `people go to ${place} to see ${sight}.`,
      `in the afternoon ${who} walked to ${walk}.`,
      `${who} brought home ${souvenir} from ${place}.`,
      `${who} loved ${sight} most of all.`,
      `you can reach ${place} ${means}.`,
      `from ${walk} we could see everything.`,
    ]);
}

function wisdom(random: Random): () => string {
  const [one, other] = random.pick(OPPOSITES);
  const thing = random.pick(["question", "answer", "road", "life", "plan", "machine", "story"]);
  return () =>
    random.pick([
      random.pick(PROVERBS),
      `a ${one} ${thing} is better than a ${other} one.`.replace(/a ([aeiou])/g, "an $1"),
      `what is ${one} today may be ${other} tomorrow.`,
      `${one} is the opposite of ${other}.`,
      `it is not ${one}, it is ${other}.`,
      `some say ${one}, others say ${other}.`,
    ]);
}
