export { CodePointSet, MembershipTable } from './code-point-set.js';
export {
  combiningClasses,
  joinedWordCharacters,
  numeric,
  oldMarks,
  oldNonspacingMarks,
  oldOther,
  oldPunctuation,
  undecomposed,
  unpackSet,
  whiteSpace,
} from './properties.js';
export { scriptNames, withoutScript } from './tables.js';
