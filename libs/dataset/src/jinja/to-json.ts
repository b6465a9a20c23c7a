import { writeJson, type JsonStyle } from './json-write.js';
import { defaultLimits } from './limits.js';
import { RenderState } from './render-state.js';
import { type PyValue } from './values.js';

const plainStyle: JsonStyle = {
  ensureAscii: false,
  indent: undefined,
  itemSeparator: ', ',
  keySeparator: ': ',
  sortKeys: false,
};

/** As `json.dumps(value, ensure_ascii=False)`. @throws TemplateError for what JSON has not */
export function toJson(value: PyValue): string {
  const date = { year: 1970, month: 1, day: 1 };
  return writeJson(new RenderState(defaultLimits, date, new Set()), value, plainStyle);
}
