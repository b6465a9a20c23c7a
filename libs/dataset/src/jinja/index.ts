export {
  JsonSyntaxError,
  TemplateError,
  type TemplateErrorKind,
  TemplateSyntaxError,
} from './errors.js';
export { parseJson } from './json-parse.js';
export { toJson } from './to-json.js';
export { defaultLimits, type Limits } from './limits.js';
export { compileTemplate, type Rendering, type RenderOptions, type Template } from './template.js';
export {
  type CalendarDate,
  type Mark,
  PyDict,
  PyFloat,
  PyTuple,
  type PyValue,
  RichText,
  Undefined,
} from './values.js';
