// Resolved by tools/std.ts to find out whether JSR answers; never run.
import "@std/assert";
import "@std/cli/parse-args";
