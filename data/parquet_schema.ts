/**
 * A Parquet schema → the columns that can be asked for, by the names that people gave them: lists and maps are groups of
 * groups in the file, whose names (`list`, `element`) nobody chose. Used by `parquet.ts`.
 */

/** A node of the schema, as the library gives it: they come one after another, each before what is inside of it. */
export interface SchemaElement {
  name: string;
  type?: string;
  repetition_type?: string;
  num_children?: number;
  converted_type?: string;
  logical_type?: { type: string; isSigned?: boolean };
}

/** A column as it is stored. */
export interface ParquetColumn {
  /** Names from the outermost to its own, without those of lists. */
  path: readonly string[];
  /** Its place among the columns of a row group. */
  index: number;
  element: SchemaElement;
  /** Greatest definition level: all of what may be missing is there. */
  defined: number;
  /** How many lists it is in. */
  lists: number;
  /** Whether it is in a map. */
  inMap: boolean;
}

/** What is around a node of the schema. */
type Around = Omit<ParquetColumn, "index" | "element"> & { depth: number };

/** Groups inside of one another. */
const DEEPEST = 32;

/** The columns that are stored, in order. @throws {Error} for what is no tree, or a very deep one. */
export function parquetColumns(schema: readonly SchemaElement[]): ParquetColumn[] {
  const columns: ParquetColumn[] = [];
  let at = 1; // behind the root
  const visit = (around: Around, isHidden: boolean) => {
    const element = schema[at++];
    if (element === undefined || around.depth > DEEPEST) throw new Error("its schema is no tree, or a very deep one");
    const { name, repetition_type, num_children: count = 0 } = element;
    const isRepeated = repetition_type === "REPEATED";
    const inner = {
      path: isHidden ? around.path : [...around.path, name],
      defined: around.defined + (repetition_type === "REQUIRED" ? 0 : 1),
      lists: around.lists + (isRepeated ? 1 : 0),
      inMap: around.inMap || isA("MAP", element),
      depth: around.depth + 1,
    };
    if (count === 0) {
      const { depth: _, ...column } = inner;
      if (element.type !== undefined) columns.push({ ...column, index: columns.length, element });
      return;
    }
    // A list is a group with a repeated group in it, in which its element stands; older writers leave one of them out.
    const isList = isA("LIST", element) && count === 1 && schema[at]?.repetition_type === "REPEATED";
    const isWrapper = isHidden && isRepeated && count === 1 && !/^array$|_tuple$/.test(name);
    for (let i = 0; i < count; i++) visit(inner, isList || isWrapper);
  };
  const root = { path: [], defined: 0, lists: 0, inMap: false, depth: 0 };
  for (let i = 0; i < (schema[0]?.num_children ?? 0); i++) visit(root, false);
  return columns;
}

function isA(type: "LIST" | "MAP", { converted_type, logical_type }: SchemaElement): boolean {
  return logical_type?.type === type || converted_type === type || converted_type === `${type}_KEY_VALUE`;
}

/** The name that a column is asked for by. */
export const nameOf = ({ path }: ParquetColumn): string => path.join(".");

/**
 * The column of a name: of a text, of a list of texts, of a number or a truth value.
 *
 * @returns undefined if there is none; why it cannot be read, if it is something else.
 */
export function findColumn(columns: readonly ParquetColumn[], name: string): ParquetColumn | Error | undefined {
  const found = columns.filter((column) => nameOf(column) === name).sort((a, b) => a.path.length - b.path.length);
  const inside = columns.filter(({ path }) => path.some((_, i) => path.slice(0, i + 1).join(".") === name));
  if (inside.length === 0) return undefined;
  const is = (what: string) => new Error(`the column ${JSON.stringify(name)} ${what}`);
  if (inside[0].inMap) return is("is a map, not a text");
  if (found.length === 0) return is(`is a struct; it has: ${inside.map(nameOf).join(", ")}`);
  if (found.length > 1 && found[0].path.length === found[1].path.length) return is("is there more than once");
  if (found[0].lists > 1) return is("is a list of lists, not a text");
  const unreadable = kindOf(found[0].element);
  return unreadable === undefined ? found[0] : is(`holds ${unreadable}, not text`);
}

/** What a value is that is neither text nor number, in words. */
function kindOf({ type = "", converted_type = "", logical_type }: SchemaElement): string | undefined {
  const logical = logical_type?.type ?? converted_type;
  if (/^DECIMAL/.test(logical)) return "decimals";
  if (/^DATE/.test(logical)) return "dates";
  if (/^TIMESTAMP/.test(logical) || type === "INT96") return "timestamps";
  if (/^TIME/.test(logical)) return "times";
  if (/^(BSON|UUID|FLOAT16|INTERVAL|VARIANT|GEOMETRY|GEOGRAPHY)$/.test(logical)) return `values of type ${logical}`;
  return type === "FIXED_LEN_BYTE_ARRAY" ? "bytes" : undefined;
}
