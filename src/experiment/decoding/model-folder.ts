/** Folder of the trained decoder in a run, as `decoder.folder` and `tandem generate --model` take it. */
export const MODEL_FOLDER = 'model';
