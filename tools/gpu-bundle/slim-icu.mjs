/**
 * Blanks what ICU knows of languages other than English in an executable of Node. The data lies in
 * it as one package of named items (ICU's `ucmndata.h`): a header whose first two bytes are its
 * size and in which "CmnD" stands at 12, then a table: the count, and for each item where its name
 * and its contents begin, counted from the table. Items are read when they are asked for, so blank
 * ones do no harm to who never asks, and compress to nothing.
 */

const magic = 'CmnD';
const magicOffset = 12;

/**
 * @param {Buffer} executable changed in place
 * @returns {number} bytes that are blank afterwards; 0 where there is no such package
 */
export function blankLanguages(executable) {
  const place = executable.indexOf(magic, 0, 'latin1');
  if (place < 0) return 0;
  const header = place - magicOffset;
  const items = itemsAt(executable, header + executable.readUInt16LE(header));
  let blanked = 0;
  items.forEach(({ name, start }, index) => {
    const end = items[index + 1]?.start ?? start;
    if (isKept(name)) return;
    executable.fill(0, start, end);
    blanked += end - start;
  });
  return blanked;
}

/**
 * @param {Buffer} executable
 * @param {number} table
 */
function itemsAt(executable, table) {
  const count = executable.readUInt32LE(table);
  return Array.from({ length: count }, (_, index) => {
    const entry = table + 4 + 8 * index;
    const nameAt = table + executable.readUInt32LE(entry);
    const name = executable.toString('latin1', nameAt, executable.indexOf(0, nameAt));
    return { name, start: table + executable.readUInt32LE(entry + 4) };
  });
}

/**
 * Tables of characters and numbers, and English: `icudt78l/nfkc.nrm`, `icudt78l/en_US.res`,
 * `icudt78l/coll/ucadata.icu`, but neither `icudt78l/coll/zh.res` nor converters.
 * @param {string} name
 */
export function isKept(name) {
  const path = name.split('/').slice(1);
  const file = path.at(-1) ?? '';
  if (/^(root|en|en_US|pool|res_index|supplementalData|[a-z]+[A-Z]\w*|zoneinfo64)\.res$/.test(file))
    return true;
  if (path.length > 1) return /^(ucadata.*\.icu|\w+\.brk)$/.test(file);
  return !/\.(res|cnv|spp)$/.test(file) && file !== 'unames.icu';
}
