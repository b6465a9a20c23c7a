export {
  JsonSyntaxError,
  TemplateError,
  type TemplateErrorKind,
  TemplateSyntaxError,
} from './errors.js';
export { parseJson } from './json-parse.js';
export { toJson } from './json-write.js';
export { defaultLimits, type Limits } from './limits.js';
export { type CalendarDate } from './runtime.js';
export { compileTemplate, type Rendering, type RenderOptions, type Template } from './template.js';
export {
  type Mark,
  PyDict,
  PyFloat,
  PyTuple,
  type PyValue,
  RichText,
  Undefined,
} from './values.js';
