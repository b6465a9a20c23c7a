import { strip, words } from './python-text.js';

/** Marks that vanish beside a space anywhere in the answer, and become a space otherwise. */
const punctuation = [...';/[]"{}()=+\\_-><@`!'];
const finalPeriod = /\.(?!\p{Nd})/gu;
/** The evaluation hands the flag `re.UNICODE`, 32, to the place of the count. */
const mostPeriods = 32;

const articles: ReadonlySet<string> = new Set(['a', 'an', 'the']);
const numberWords: ReadonlyMap<string, string> = new Map([
  ['none', '0'],
  ...words('zero one two three four five six seven eight nine ten').map(
    (word, value): [string, string] => [word, String(value)],
  ),
]);

/** Forms that are restored wherever one of their apostrophes is missing. */
const contractedForms = words(`
  ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
  haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't
  mightn't've must've mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
  shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
  someone's something'd something'd've something'll that's there'd there'd've there're there's
  they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
  what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
  why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll
  you're you've`);
const contractions: ReadonlyMap<string, string> = new Map([
  ...contractedForms.flatMap(withOneApostropheLess),
  // The table of the evaluation has this one the other way round.
  ["somebody'd", 'somebodyd'],
]);

/**
 * An answer as the evaluation server of VQA and TextVQA compares it: lower case, without marks and
 * articles, number words up to ten as digits, apostrophes of contractions restored.
 */
export function normalizeVqaAnswer(answer: string): string {
  const lower = answer.toLowerCase().replace(/[,?]/g, '').replaceAll("'s", " 's");
  const line = strip(strip(lower).replace(/[\n\t]/g, ' '));
  return words(withoutMarks(line))
    .map((word) => numberWords.get(word) ?? word)
    .filter((word) => !articles.has(word))
    .map((word) => contractions.get(word) ?? word)
    .join(' ');
}

function withoutMarks(line: string): string {
  let text = line;
  for (const mark of punctuation) {
    const isBesideSpace = line.includes(`${mark} `) || line.includes(` ${mark}`);
    text = text.replaceAll(mark, isBesideSpace ? '' : ' ');
  }
  let periods = 0;
  return text.replace(finalPeriod, (period) => {
    periods += 1;
    return periods <= mostPeriods ? '' : period;
  });
}

function withOneApostropheLess(form: string): [string, string][] {
  return [...form.matchAll(/'/g)].map(({ index }) => [
    form.slice(0, index) + form.slice(index + 1),
    form,
  ]);
}
