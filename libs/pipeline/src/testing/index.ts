export { writePictureModel } from './picture-model.js';
