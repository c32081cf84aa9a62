/**
 * Everything bad that can be done to a run, many times over, with a table of what came of it. Takes an hour or two.
 * usage: deno task torture [CAMPAIGN…] [--short] [--seed=N]
 */

import { CAMPAIGNS } from "./campaigns.ts";

const names = Deno.args.filter((arg) => !arg.startsWith("--"));
const unknown = names.find((name) => CAMPAIGNS.every((campaign) => campaign.name !== name));
const flags = Deno.args.filter((arg) => arg.startsWith("--") && arg !== "--short" && !/^--seed=\d+$/.test(arg));
if (unknown !== undefined || flags.length > 0) {
  console.error(`error: torture does not know ${unknown ?? flags[0]}`);
  console.error(`hint: the campaigns are ${CAMPAIGNS.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}
const size = Deno.args.includes("--short") ? "short" : "long";
const seed = Number(Deno.args.find((arg) => arg.startsWith("--seed="))?.slice(7) ?? 1);

let bad = 0;
for (const campaign of CAMPAIGNS) {
  if (names.length > 0 && !names.includes(campaign.name)) continue;
  console.log(`${campaign.name}: ${campaign.goal}`);
  const began = performance.now();
  const figures = await campaign.run(size, seed);
  const seconds = Math.round((performance.now() - began) / 1000);
  if (figures.skipped !== undefined) console.log(`  skipped: ${figures.skipped}`);
  console.log(`  ${figures.tried} tried, ${figures.bad.length} bad (${seconds} s)`);
  for (const [outcome, count] of Object.entries(figures.outcomes)) {
    console.log(`  ${String(count).padStart(8)} ${outcome}`);
  }
  for (const what of figures.bad.slice(0, 50)) console.log(`  BAD: ${what}`);
  bad += figures.bad.length;
}
Deno.exit(bad === 0 ? 0 : 1);
