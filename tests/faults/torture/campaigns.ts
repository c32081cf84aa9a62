/** The campaigns, in the order in which they run. */

import { BOUNDARY } from "./boundary.ts";
import type { Campaign } from "./campaign.ts";
import { DAMAGES } from "./damages.ts";
import { FILE_CALLS } from "./file_calls.ts";
import { HOSTILE } from "./hostile.ts";
import { KILLS } from "./kills.ts";
import { PRESSES_IN_TERMINAL } from "./presses.ts";

export const CAMPAIGNS: readonly Campaign[] = [
  FILE_CALLS,
  KILLS,
  PRESSES_IN_TERMINAL,
  DAMAGES,
  HOSTILE,
  BOUNDARY,
];
