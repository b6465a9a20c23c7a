import { blankLanguages, isKept } from '../slim-icu.mjs';

describe('isKept', () => {
  it.each([
    'icudt78l/root.res',
    'icudt78l/en_US.res',
    'icudt78l/nfkc.nrm',
    'icudt78l/zoneinfo64.res',
    'icudt78l/timezoneTypes.res',
    'icudt78l/coll/ucadata.icu',
    'icudt78l/brkitr/char.brk',
    'icudt78l/zone/en.res',
  ])('keeps %s', (name) => expect(isKept(name)).toBe(true));

  it.each([
    'icudt78l/de.res',
    'icudt78l/sr_Latn_RS.res',
    'icudt78l/gb18030.cnv',
    'icudt78l/coll/zh.res',
    'icudt78l/brkitr/thaidict.dict',
    'icudt78l/unames.icu',
  ])('does without %s', (name) => expect(isKept(name)).toBe(false));
});

describe('blankLanguages', () => {
  it('blanks the contents of other languages and leaves all else', () => {
    const contents = { 'icudt1l/de.res': 'deutsch!', 'icudt1l/en.res': 'english!' };
    const executable = Buffer.concat([Buffer.from('code'), icuPackage(contents)]);
    const before = Buffer.from(executable);

    expect(blankLanguages(executable)).toBe(8);
    expect(executable.indexOf('deutsch!')).toBe(-1);
    expect(executable.indexOf('english!')).toBe(before.indexOf('english!'));
    expect(executable.indexOf('icudt1l/de.res')).toBe(before.indexOf('icudt1l/de.res'));
  });

  it('leaves an executable without such data as it is', () => {
    const executable = Buffer.from('nothing of ICU in here');
    expect(blankLanguages(executable)).toBe(0);
    expect(executable.toString()).toBe('nothing of ICU in here');
  });
});

/** As ICU writes it: header, table, names, contents. */
function icuPackage(contents: Readonly<Record<string, string>>): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32);
  header.write('CmnD', 12, 'latin1');
  const items = Object.entries(contents);
  const table = Buffer.alloc(4 + 8 * items.length);
  table.writeUInt32LE(items.length);
  let at = table.length;
  const parts: Buffer[] = [];
  for (const side of [0, 1]) {
    items.forEach((item, index) => {
      const part = Buffer.from(side === 0 ? `${item[0]}\0` : (item[1] ?? ''));
      table.writeUInt32LE(at, 4 + 8 * index + 4 * side);
      at += part.length;
      parts.push(part);
    });
  }
  return Buffer.concat([header, table, ...parts]);
}
