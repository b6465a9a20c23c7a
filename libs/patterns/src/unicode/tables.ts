/*
 * Data of the Unicode Character Database, packed. The parts of a tokenizer follow different
 * versions
 * of it, and none of them the version of the JavaScript engine; so each is written down here.
 */

/**
 * General categories of Unicode 16, all code points in order: a letter for the category (its place
 * in `categorySymbols`) and, where the run is longer than one, its length less one in base 36.
 */
export const categoryRuns = [
  'ZvWR2TR2NORSRMR1I9R1S2R1ApNROULUBpNSOSZwWRT3VRUVEPS!VUVSK1UBR1UKEQK2RAmSA6BnSB7ABABABABABABA',
  'BABABABABABABABABABABABABABABABABABABABABAB1ABABABABABABABAB1ABABABABABABABABABABABABABABABA',
  'BABABABABABABABA1BABAB2A1BABA1BA2B1A3BA1BA2B2A1BA1BABABA1BAB1ABA1BA2BABA1B1EAB2E3ACBACBACBAB',
  'ABABABABABABAB1ABABABABABABABABAB1ACBABA2BABABABABABABABABABABABABABABABABABABABABABABABABAB',
  'ABABABAB6A1BA1B1ABA3BABABABAB1wEBqDhU3DbUdD4U6DUDUgF33ABABDUAB%1DB2RA%3U1ARA2%A%A1BAg%A8ByAB',
  '1A2B2ABABABABABABABABABABABAB4ABSABA1B1A1eB1bABABABABABABABABABABABABABABABABABVF4H1ABABABAB',
  'ABABABABABABABABABABABABABABABABABABABABABABABA1BABABABABABAB1ABABABABABABABABABABABABABABAB',
  'ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB%A11%1DR5B14RM%1V1T%F18MFR',
  'F1RF1RF%7Eq%3E3R1%a!5S2R1TR1V1FaR!R2EvDE9FkI9R3E1FE2qREF6!VF5D1F1VF3E1I9E2V1ERd%!EFEtFq%1E2g',
  'FaE%dI9EwF8D1VR2D%1FT1ElF3DF8DF2DF4%1Re%EoF2%1R%Ea%4EnUE5%!1%4F8E14DFn!FvGE1hFGFEG2F7G3FG1EF',
  '6E9F1R1I9RDEeFG1%E7%1E1%1El%E6%E%2E3%1FEG2F3%1G1%1G1FE%7G%3E1%E2F1%1I9E1T1K5VTERF%1F1G%E5%3E',
  '1%1El%E6%E1%E1%E1%1F%G2F1%3F1%1F2%2F%6E3%E%6I9F1E2FR%9F1G%E8%E2%El%E6%E1%E4%1FEG2F4%F1G%G1F%',
  '1E%eE1F1%1I9RT%6EF5%FG1%E7%1E1%1El%E6%E1%E4%1FEGFGF3%1G1%1G1F%6F1G%3E1%E2F1%1I9VEK5%9FE%E5%2',
  'E2%E3%2E1%E%E1%2E1%2E2%2Eb%3G1FG1%2G2%G2F%1E%5G%dI9K2V5TV%4FG2FE7%E2%Em%Ef%1FEF2G3%F2%F3%6F1',
  '%E2%1E%1E1F1%1I9%6RK6VEFG1RE7%E2%Em%E9%E4%1FEGFG4%FG1%G1F1%6G1%5E1%E1F1%1I9%E1G%bF1G1E8%E2%E',
  '14F1EG2F3%G2%G2FEV%3E2GK6E2F1%1I9K8VE5%FG1%Eh%2En%E8%E%1E6%2F%3G2F2%F%G7%5I9%1G1R%bE1bFE1F6%',
  '3TE5DF7RI9R1%10E1%E%E4%En%E%E9FE1F8E%1E4%D%F6%I9%1E3%vEV2ReVRV2F1V5I9K9VFVFVFNONOG1E7%Ez%3Fd',
  'GF4RF1E4Fa%Fz%V7FV5%V1R4V3R1%10E16G1F3GF5GF1G1F1EI9R5E5G1F1E3F2EG2E1G6E2F3EcFG1F1G5FEGI9G2FV',
  '1A11%A%4A%1B16RDB2E94%E3%1E6%E%E3%1E14%E3%1Ew%E3%1E6%E%E3%1Ee%E1k%E3%1E1u%1F2R8Kj%2EfV9%5A2d',
  '%1B5%1MEh7VREgWEpNO%2E22R2J2E7%6EhF2G%8EiF1GR1%8EhF1%bEc%E2%F1%bE1fF1GF6G7FG1FaR2DR2TEF%1I9%',
  '5K9%5R5MR3F2!FI9%5EyDE1g%6E4F1ExFE%4E1x%9Eu%F2G3F1G2%3G1FG5F2%3V%2R1I9Et%1E4%aE17%3Ep%5I9K%2',
  'VxEmF1G1F%1R1E1gGFGF6%FGFG1F7G5F9%1FI9%5I9%5R6DR5%1FdHFf%1cF3GE1aFGF4GFG4FG1E7%R1I9R6V9F8V8R',
  '2F1GEtGF3G1F1GF2E1I9E17FGF1G2FGF2G1%7R3EzG7F7G1F1%2R4I9%2E2I9EtD5R1B8AB%4A16%1A2R7%7F2RFcGF6',
  'E3FE5FE1GF1E%4B17D1qBcDBxD10F1rABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABA',
  'BABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB8AB',
  'ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB',
  'ABAB8A7B5%1A5%1B7A7B7A7B5%1A5%1B7%A%A%A%AB7A7Bd%1B7C7B7C7B7C7B4%B1A3CUBU2B2%B1A3CU2B3%1B1A3%',
  'U2B7A4U2%1B2%B1A3CU1%Wa!4M5R1PQNP1QNPR7XY!4WR8PQR3L1R2SNORaSRLR9W!4%!9KD%1K5S2NODK9S2NO%Dc%2',
  'Tw%eFcH3FH2Fb%eV1AV3AV1BA2B1A2BVAV1SA4V5AVAVAVA3VBA3BE3BV1B1A1S4AB3VSV1BVKfJyABJ3KV1%3S4V4S1',
  'V3SV1SV1SV6SVuS1V1SVSVuS7fV7NONOVjS1V6NOV28SVtSoV13S5V1z%lVa%kK1nV25KlV52SV8SV1hS7V32SV6vNON',
  'ONONONONONOKtV17S4NOSuNONONONONOSfV73S3mNONONONONONONONONONONOS1qNONOSvNOS75V1bSkV1S5V12%1Vv',
  '%V2wA1bB1bABA2B1ABABABA3BAB1AB5D1A2BABABABABABABABABABABABABABABABABABABABABABABABABABABABAB',
  'ABABABABABABABABABABABABABABABABABABABABAB1V5ABABF2AB%4R3KR1B11%B%4B%1E1j%6DR%dFEm%8E6%E6%E6',
  '%E6%E6%E6%E6%E6%FvR1PQPQR2PQRPQR8MR1MRPQR1PQNONONONOR4DR9M1R3MRNRcV1R2NONONONOM%xVp%V2g%bV5x',
  '%pVfWR2VDEJNONONONONOV1NONONONOMNO1VJ8F3G1MD4V1J2DERV1%E2d%1F1U1D1EME2hRD2E%4E16%E2l%V1K3V9E',
  'vV11%8VEfVu%K9VtK7VKeVvK9V12KeV8vE533V1rEg7oDEvq%2V1i%8E13D5R1E7fDR2EfI9E1%jABABABABABABABAB',
  'ABABABABABABABABABABABABABABABEFH2RF9RDABABABABABABABABABABABABABABD1F1E1xJ9F1R5%7UmD8U1ABAB',
  'ABABABABAB2ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABDB7ABABA1BABABABABD',
  'U1ABABEABAB2ABABABABABABABABABABA4BA4BABABABABABABABA3BABA1B%1AB%B%BABABABA%kD2ABED1BE6FE2FE',
  '3FEmG1F1GV3F%2K5V1TV%5E1fR3%7G1E1dGfF1%7R1I9%5FhE5R2ERE1FI9ErF7R1EmFaG1%aREs%2F2GE1aFG1F3G1F',
  '1G2Rc%DI9%3R1E4FDE8I9E4%E14F5G1F1G1F1%8E2FE7FG%1I9%1R3EfDE5V2EGFGE1dFEF2E1F1E4F1EFE%nE1DR1Ea',
  'GF1G1R1ED1GF%9E5%1E5%1E5%8E6%E6%B16UD3B8DU1%3B27EyG1FG1FG1RGF%1I9%5E8mb%bEm%3E1c%3$1kv#4xrEa',
  '5%1E2x%11B6%bB4%4EFE9SEc%E4%E%E1%E1%E2zUg%fEa2ONVfE1r%1E1h%6V%vEbTV2FfR6NOR%5FfRM1L1NONONONO',
  'NONONONOR1NOR3L2R2%R3MNONONOR2SMS2%RTR1%3E4%E3q%1!%R2TR2NORSRMR1I9R1S2R1ApNROULUBpNSOSNORNOR',
  '1E9DE18D1Eu%2E5%1E5%1E5%1E2%2T1SUVT1%VS3V1%9!2V1%1Eb%Ep%Ei%E1%Ee%1Ed%xE3e%4R2%3K18%2V8J1gK3V',
  'gK1V2%Vc%2V%1aV18F%3lEs%2E1c%eFKq%3EvK3%8EjJE7J%4E11F4%4Et%REz%3E7RJ4%15A13B13E25%1I9%5Az%3B',
  'z%3E13%7E1f%aRAa%Ae%A6%A1%Ba%Be%B6%B1%2E1f%bE8m%8El%9E7%nD5%D15%D8%1wE5%1E%E17%E1%2E%1Em%RK7',
  'EmV1K6Eu%7K8%1bEi%E1%4K4ElK5%2REp%4R%1rE1j%3K1E1Kf%1K19EF2%F1%4F3E3%E2%Es%1F2%3FK8%6R8%6EsK1',
  'REsK2%vE7VErF1%3K4R6%8E1h%2R6El%1K7Ei%4K7Eh%6R3%bK6%27E20%1iA1e%cB1e%6K5EzF3%7I9%5I9E3DEAl%2',
  'F4MDBl%7S1%5rKu%E15%F1M%1E1%fE2%1iF3EsK9E%7ElFaK3R4%lEhF3R3%11EkK6%jEm%8GFGE1gFeR6%3KjI9FE1F',
  '1E%8F2GE18G2F3G1F1R1!R3F%9!%1Eo%6I9%5F2EzF4GF7%I9R3EG1E%7EyFR1E%8F1GE1bG2F8G1E3R3F3RGFI9ERER',
  '2%Kj%aEh%EoG2F2G1FGF1R5FE1F%1pE6%E%E3%Ee%E9R%5E1aFG2F7%4I9%5F1G1%E7%1E1%1El%E6%E1%E4%F1EG1FG',
  '3%1G1%1G2%1E%5G%4E4G1%1F6%2F4%aE9%E%1E%E11%EG2F5%G%1G%G3%G1FGFEFER1%R1%7F1%sE1gG2F7G1F2GFE3R',
  '4I9R1%RFE2%tE1bG2F5GFG3F1GF1E1RE%7I9%4lE1aG2F3%1G3F1GF1RmE3F1%xE1bG2F7G1FGF1R2E%aI9%5Rc%iE16',
  'FGFG1F5GFER%5I9%5Ij%rEq%1FGFG1F3GF4%3I9K1R2VE6%54E17G2F8GF1R%2rAvBvI9K8%bE7%1E%1E7%E1%EnG5%G',
  '1%1F1GFEGEGFR2%8I9%1xE7%1E12G2F3%1F1G3FEREG%qEF9E13F5GEF3R7F%7EF5G1F2E19FcGF1R2ER4%cE20%6R9%',
  '51EwR%dI9%5E8%E10GF6%F5GFER4%9I9Ki%2R1Et%1Fl%GF6GF1GF1%20E6%E1%E11F5%2F%F1%F6EF%7I9%5E5%E1%E',
  'vG4%F1%G1FGFE%6I9%8lEiF1G1R1%6F1EGEc%ExG1F4%2G1FGFRcI9F%2cE%eKkV7T3Vg%cREpl%2tJ32%R4%aE5f%21',
  '7E2oR1%cEtr!fFE5Fe%9E32y%4Eg6%5a0EtFbG2F2I9%1c5Efs%6Eu%I9%3R1E26%I9%5Et%1F4R%9E1bF6R4V3D3RV%',
  '9I9%K6%Ek%4Ei%bzD2E13D1R2I9%5hAvBvKmR3%2sE22%3FEG1i%6F3Dc%1rD1RDF%aG1%dE4qf%7Eyd%14E9%6w6D3%',
  'D6%D1%E82%eE%sE2%1E%dE3%7Eaz%1s3E2y%4Ec%2E8%6E9%1VF1R!3%317V6nI9%5Vc3%23F19%1Fm%8V37%1nV6t%9',
  'V12%1V1nG1F2V2G5!7F7V1F6VtF3V1o%kV1tF2V%3dKj%bKj%bV2e%8Ko%3qApBpApB6%BhApBpA%A1%1A%1A1%1A3%A',
  '7B3%B%B6%BaApBpA1%A3%1A7%A6%BpA1%A3%A4%A%2A6%BpApBpApBpApBpApBpApBpApBr%1AoSBoSB5AoSBoSB5AoS',
  'BoSB5AoSBoSB5AoSBoSB5AB%1I1dVe7F1iV3F1dV7FVdFV1R4%eF4%Fe%unB9EBj%5B5%5wF6%Fg%1F6%F1%F4%4D1p%',
  'wF%33E18%2F6D6%1I9%3EV%8vEtF%gE17F3I9%4T%cvEqDF3I9%5xEtF1EI9%3R%dbE6%E3%E1%Ee%E5g%1K8F6%14Ax',
  'BxF6D%3I9%3R1%lsK1mVK2TK3%23K18VKe%5dE3%Eq%E1%E%1E%E9%E3%E%E%5E%3E%E%E%E2%E1%E%1E%E%E%E%E%E1',
  '%E%1E3%E6%E3%E3%E%E9%Eg%4E2%E4%Eg%1fS1%7hV17%3V2r%bVe%1Ve%Ve%V10%9KcV4g%1jVs%cV17%3V8%6V1%dV',
  '5%49V6yU4Vk7%3Vg%2Vc%2V3a%3V2m%5Vb%3V%eVb%3V1j%7V9%5V13%7Vt%1Vb%3V1%1pV9f%bVd%1Vc%2V9%4V1j%6',
  'Ve%1Va%5V8%6V42%V2jI9%slEwyn%vE37d%5E65%1E4g1%dE5rk%eEh9%1whEf1%15tE3t6%4E38f%f974!%t!2n%3jF',
  '6n%1e6n#1ekd%1#1ekd%1',
].join('');

export const categorySymbols = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%';
export const categoryNames =
  'Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs Cn'.split(
    ' ',
  );

/*
 * Below: sets as pairs of numbers in base 36, the distance from the end of the last range and the
 * length less one. Where it says so, the set holds the code points that are in one of two sets
 * only.
 */

/** Number characters of Unicode 17 against N of Unicode 16. */
export const numericDifference = ['1kgw 9 g7f 2'].join('');

/** P of Unicode 8 with all ASCII signs against the same of Unicode 16. */
export const oldPunctuationDifference = [
  '17h 0 rk 0 3d 0 e9 0 d 0 1yh 0 yp 1 1a 2 3pg c 3 b 1829 0 8v 0 4o 4 19 3 g0 0 ej 1 2 1 37 4 ',
  'b 1 2 0 eb c 25 0 aq 0 7d 2 4c 0 2l 7 2c 2 2 4 2m 9 60 0 2o 4 17 1 hy 1 23 c 4w 0 35e 1 c57 ',
  '2 88 3 94 0 nbx 0 nz 1',
].join('');

/** What BertNormalizer removes against Cc, Cf, Co and U+FFFD of Unicode 16. */
export const oldOtherDifference = ['9 1 3 0 1oj 1 29 0 1g4r 0 6zn f'].join('');

/** M of Unicode 9 against M of Unicode 16. */
export const oldMarkDifference = [
  '1kt 0 4a 8 17 9 8b 0 70 5 2e 0 4v 0 1k 0 53 0 d 0 1n 1 1x 0 8p 0 k 0 1mv 0 6y 0 j4 f f8 1 4 ',
  '0 73 4 raq 0 5v 0 js5 3 1u 4 8u 1 28 3 1z a 1e 3 6j 0 3 1 26 0 3n 1 3n 0 5 1 36 0 6y 0 3h 8 ',
  '2 0 3 0 2 3 2 4 2 0 f 1 3g 0 r2 e 6u 5 2 1 3 3 2 0 2 1 3y 6 3 6 4 0 t 9 15 6 2 3 9 0 a a 1b ',
  'f ig 5 4 0 2 1 2 6 2 0 1v 4 2 1 2 4 9o 3 a 1 2 0 1d 6 4 4 o 0 44m 0 7 e 8uh h 2sg 0 1c 8 2l ',
  '0 c 1 irz 19 3 m 3ex 0 4h 6 ag 0 1q 3 e5 3 73 1',
].join('');

/** Mn of Unicode 8 against Mn of Unicode 16. */
export const oldNonspacingDifference = [
  '1kt 0 4a 8 17 n 7x 0 70 5 2e 0 4v 0 1k 0 5g 0 1n 1 1x 0 8p 0 k 0 1nq 0 63 0 3a 1 ft f mg 5 r',
  'ap 0 49 0 1m 0 5a 0 jmv 3 1u 4 8u 1 28 3 1z a 1e 3 6j 0 3 1 26 0 7b 0 6 0 33 0 3 0 6y 0 3k 5',
  ' e 0 2 0 2 0 f 1 2e 7 3 2 2 0 o 0 jk 0 7l 8 2 1 75 1 2 0 5 0 41 3 3 1 5 0 x 9 15 5 3 3 9 0 a',
  ' 5 3 2 1b c 2 1 bb 6 2 5 2 0 2b l 3 6 2 1 2 1 3f 5 4 0 2 1 2 6 2 0 21 1 4 0 2 0 9o 1 c 1 1h ',
  '4 6 0 2 0 o 0 44m 0 7 e 8uh b 4 2 2sg 0 45 0 isc 19 3 m 3ay 6 2 g 3 6 2 1 2 4 2t 0 4h 6 ag 0',
  ' 1q 3 e5 3 73 1 np 6',
].join('');

/** Alphabetic against L and Nl, Unicode 16. */
export const alphabeticDifference = [
  'n9 0 u c g1 d 2 0 2 1 2 1 2 0 21 a 1d c 2 6 h 0 2u 6 5 3 3 1 5 0 10 0 v f 2v a 2u 1 4 8 2 2 ',
  '2 3 2z 0 1p b 4 6 7 j 1j 1 3 e 2 1 6 2 b 1 u 2 1n 6 3 1 3 1 b 0 b 1 u 2 1n 4 5 1 3 1 5 0 v 1',
  ' 4 0 c 2 1n 7 2 2 2 1 m 1 n 2 5 2 1n 6 3 1 3 1 a 1 b 1 v 0 1o 4 4 2 2 2 b 0 15 4 1m 6 2 2 2 ',
  '2 9 1 c 1 u 2 1n 6 2 2 2 2 9 1 c 1 g 0 d 3 1n 6 2 2 2 2 b 0 b 1 u 2 24 5 2 0 2 7 j 1 1q 0 3 ',
  '6 j 0 2s 0 3 5 2 1 h 0 4k i a a 2 z 33 b 2 0 3 3 o 3 5 2 2 2 3 6 4 3 e b 2 0 b 3 19x 1 v 1 v',
  ' 1 v 1 1v i 59 1 z 0 3b b 5 8 67 4 1m 9 3 j 23 1 c 2 1e 4 1d e 1p 2 v 8 3 1 1m a 1f i bh x 1',
  'c2 1f 1rr v nsl 7 z 1 9v 0 9 0 o 4 2h 1 1f f 2 0 1m 0 13 4 t b 1a 3 1d b 12 0 1w d d 0 9 1 1',
  'a 2 1f 0 2 2 3 1 6 0 19 4 6 0 6m 7 fn8 0 1nc 4 1af 2 2 1 6 3 lx 3 1u 0 8y 1 28 0 78 2 1i d 1',
  'a 1 c 2 1a 8 a 0 1q 2 11 b j 1 1m 2 1d c f 1 2l 8 3 0 7 0 3 0 4e 9 o 3 1n 6 3 1 3 1 b 0 b 1 ',
  '2d 8 2 0 3 0 2 3 2 1 2w c 2 2 2z h 6m 6 3 6 u 1 2b e 2 0 2z a 2w d 76 c 6w 5 2 1 3 1 4 0 2 0',
  ' 3z 6 3 5 5 0 t 9 17 4 2 3 j a 1b d bc 7 2 6 2c l 2 d 3f 5 4 0 2 1 2 2 2 0 4 0 1v 4 2 1 2 3 ',
  '9p 3 a 1 2 0 1d 6 4 2 d0e g 2sh 0 2 1i 8 3 2m 1 f59 0 6zm 6 2 g 3 6 2 1 2 4 2t 0 1q0 0 1k9 p',
  ' 7 p 7 p',
].join('');

/** Lowercase against Ll, Unicode 16. */
export const lowercaseDifference = [
  '4q 0 g 0 dy 8 8 1 v 4 2p 0 1h 0 2o2 0 2eo 1q e 0 z 10 j6 0 e 0 h c 5w f nl p 1hv 1 o4f 1 5v ',
  '0 3m 2 4 1 o3 3 a 0 i6v 0 3 2 2 15 2 8 16ra 1p',
].join('');

/** Uppercase against Lu, Unicode 16. */
export const uppercaseDifference = ['6lc f nb p 2ixt p 7 p 7 p'].join('');

/** Has a decomposition in later versions, but none in Unicode 9, which the normal forms follow. */
export const undecomposed = [
  'a2n 0 n3m 3 ol 0 huo 0 r 0 bh 4 2 15 2 8 2bt 0 2 0 9 0 3 0 1g 0 2 1 12o 0 e7d 7 2f4 2 iuk z ',
  '3sn 1p 3cv 0 22s 9',
].join('');

/**
 * Canonical combining classes other than 0 of Unicode 9: class, colon, set; parted by semicolons.
 */
export const combiningClasses = [
  '1:ms 4 524 0 e 6 ru 1 5 2 b 1 4 1 1a32 0 j3r 4 g4q 0 43t 2;7:1to 0 3k 0 3k 0 3k 0 3k 0 ao 0 ',
  'or 0 265 0 4y 0 29 0 ry4 0 kcn 0 55 0 2f 0 30 0 4z 0 2b 0 7e 0 3h 0 71 0 6v 0 15lf 0;8:9ll 1',
  ';9:1u5 0 3k 0 3k 0 3k 0 3k 0 3k 0 3k 0 3k 0 3k 0 3h 0 34 0 96 0 51 1 1cq 0 w 0 4e 0 i6 0 6c ',
  '0 2u 1 1z 1 3gs 0 o7b 0 5a 0 3z 0 31 0 8m 0 6v 0 imq 0 16v 0 1l 0 1m 0 3e 1 3w 0 39 0 51 0 2',
  'r 0 6t 0 3k 0 71 0 3k 0 3b 0 39 0 104 0;10:14g 0;11:14h 0;12:14i 0;13:14j 0;14:14k 0;15:14l ',
  '0;16:14m 0;17:14n 0;18:14o 0 f 0;19:14p 1;20:14r 0;21:14s 0;22:14t 0;23:14v 0;24:14x 0;25:14',
  'y 0;26:1dlq 0;27:18r 0 it 0;28:18s 0 it 0;29:18t 0 it 0;30:17c 0 1i 0;31:17d 0 1i 0;32:17e 0',
  ' 1i 0;33:18x 0;34:18y 0;35:19s 0;36:1e9 0;84:2fp 0;91:2fq 0;103:2t4 1;107:2tk 3;118:2wo 1;12',
  '2:2x4 3;129:31t 0;130:31u 0 8 3 3 0;132:31w 0;202:m9 1 5 1 59k 0;214:5vy 0;216:m3 0 2e6 0 2g',
  'x8 1 8 4;218:9ii 0;220:ly 3 3 4 3 3 3 a 6 3 b 2 4 1 5 3 3 1 fr 0 5 0 5 0 7 5 3 0 r 0 40 1 6 ',
  '0 3 0 3o 0 7 0 3 0 1w 0 3 0 3 2 2 1 2 0 4 0 2 0 2 0 2 0 4q 0 2v 2 3s 0 3 0 3 0 4 2 7 0 3 1 2',
  'g 0 152 1 s 0 2 0 3z 0 5j 0 1pq 0 65 0 2v 0 1i 5 3 0 4v 0 a1 4 3 3 e 0 5x 0 8 0 5 0 1a 0 2 0',
  ' kp 0 4 3 qws 2 av 0 ghf 6 r4 0 6b 0 1f1 0 19 0 4s 0 1385 7 8 1 4lh 6;222:13u 0 j 0 3v0 0 4j',
  '8 0;224:9im 1;226:2jxp 0;228:14e 0 3qz 0 4n6 0;230:lc k 15 7 2 0 4 2 4 2 5 0 4 0 8 c 7o 4 7f',
  ' 3 2 2 3 5 7 1 2 1 3 0 l 0 24 7 1o 1 3 4 2 1 3c 6 3 3 2 0 3 1 3 1 1w 0 2 1 2 1 4 0 3 0 2 2 2',
  ' 0 2 0 2 0 2 1 4h 6 2 0 z 3 2 8 2 2 2 4 4n d 3 1 2 1 2 2 7 2 2 1 3 4 2a 0 2 1 17y 1 3 1 ra 2',
  ' vy 0 9p 0 65 0 2m 7 1g 4 7 1 4v 0 2 6 9p 2 8 1 5 0 k 0 4 1 5j 1 2 6 2 1 5 10 6 0 3 0 k2 1 3',
  ' 3 4 1 5 0 6 0 2 0 7 0 2db 2 6n v nsg 0 5 9 x 1 29 1 dr h cf 0 2 1 4 1 6 1 2 0 ggv 6 8 1 11j',
  ' 4 1at 0 15 0 4t 0 17f 2 h0 6 4 4 hbw 6 k7j 4 x 3 45 2 2po 6 2 g 3 6 2 1 2 4 1sq 5;232:lx 0 ',
  '5 0 1q 0 8us 0;233:nw 0 3 0 3 0 596 0;234:nx 1 2 1 57w 0;240:n9 0',
].join('');

/** Not known, or of no script, to the version that the pre-tokenizer UnicodeScripts follows. */
export const withoutScript = [
  '128 0 14 0 2v 0 1a 0 dc 2 2p a 6 x 6 8 m 0 9 l 89 2 3c 0 3o 5 2e 0 4v 0 1k 0 w 1 q 0 d 0 2g ',
  '1 m 0 d 0 4 0 1j 1 1x 0 79 0 3 0 3 0 2 5 5 0 8 0 8 1 3 0 e 0 k 0 1mn 0 8 0 a 0 6o 0 2x 0 g7 ',
  'u 3 b 2p 0 2 1 1a 2 7e 1 6 16 3 2 1k 0 3 0 70 4 jp 2 n2 0 14 2 1gt 1 z 2 d 0 9 p 5 f 1c 0 1c',
  ' 0 di o bj 3 8f 1 3w 4 11 1 a 0 7k 0 59z 9 g7r 15 1io 0 9 10 l 5 1i 0 5u 1 h3 5 fvb g a6 f 1',
  't 1 1j 7 1b 1 pp 0 b5 2 g1 a 2 e 2 6 2 1 2 a 2 e 2 6 2 1 4 1f b1 5 2 15 2 8 au p 63 1 j 0 jc',
  ' 13 9 9 7 11 4 s 9 1 6p 15 2 2 3 1 h 5 9 8 y 19 9 15 n p 13 r l m 3e 5 25 0 b 0 3b 3 3r 1 34',
  ' 2 6y 0 1x 9 2 0 3 0 2 11 2 9 2 0 3 0 2 3 2 9 2 1 9 1 3c 0 4 3 gn 1 n j 1j 0 12 6 56 1n 5h 6',
  ' 3 0 3 7 2 1 2 t 2 1 3 b a 9 1z 7 3 19 3 a s 1z 9 2a e f 1t 9 2f 7 2h x f 9 7b 6 2 1 2 17 4 ',
  '0 2 1 2 8 9 9 7 5 2 1 2 10 2 1 2 5 8 9 7 17 5 9 6v o 8 g 2 14 4 s 2e 0 g 1d e 0 32p 2q u5 12',
  ' b 32y 5qe 1l 1tj 26 2 9 hj 1l 5j 2i 6 o 3 o 36 5 5 0 1c 8 2i 3 c 6 4qf i l0 de 16 v 2q 36 6',
  'pq 3 2 6 2 1 4 80 g 0 u 2 3 0 f 3 9 az 4xx 70 4 c3 7 m g g g 19 3 m a 37 fa 1 5y j d j 3j 6 ',
  '2a0 u 7 5 7a 1p y 0 35 18 4 d 3 9 5 1 8x u i 1l 6 0 cx 15 5z 16 5 0 5d u 2 l 9 1 69 6 2 3 2 ',
  '1 2 e 99 0 me 1v 25 1o r4 2 w 0 1p 3 1q 0 4z 5 vi 5 4 3 o 5 3c b 2e 4 7 b 5 0 5c b 5 1 f 8 1',
  '4 f g 0 9 7 2 1 d 0 d 3 g w j 19 2 46 9 d 3 c 4 a 4 1k 2 0 5 f 3 b 5 9 8 42 2 2u xr1 8 386 a',
  ' 4mb b 3 5rk g h9 3hf 3t6 6 6jt',
].join('');

export const scriptNames = [
  'Common Latin Greek Cyrillic Armenian Hebrew',
  'Arabic Syriac Thaana Devanagari Bengali Gurmukhi',
  'Gujarati Oriya Tamil Telugu Kannada Malayalam',
  'Sinhala Thai Lao Tibetan Myanmar Georgian',
  'Hangul Ethiopic Cherokee Canadian_Aboriginal Ogham Runic',
  'Khmer Mongolian Hiragana Katakana Bopomofo Han',
  'Yi Old_Italic Gothic Deseret Inherited Tagalog',
  'Hanunoo Buhid Tagbanwa Limbu Tai_Le Linear_B',
  'Ugaritic Shavian Osmanya Cypriot Braille Buginese',
  'Coptic New_Tai_Lue Glagolitic Tifinagh Syloti_Nagri Old_Persian',
  'Kharoshthi Balinese Cuneiform Phoenician Phags_Pa Nko',
  'Sundanese Lepcha Ol_Chiki Vai Saurashtra Kayah_Li',
  'Rejang Lycian Carian Lydian Cham Tai_Tham',
  'Tai_Viet Avestan Egyptian_Hieroglyphs Samaritan Lisu Bamum',
  'Javanese Meetei_Mayek Imperial_Aramaic Old_South_Arabian Inscriptional_Parthian Inscriptional_Pahlavi',
  'Old_Turkic Kaithi Batak Brahmi Mandaic Chakma',
  'Meroitic_Cursive Meroitic_Hieroglyphs Miao Sharada Sora_Sompeng Takri',
  'Caucasian_Albanian Bassa_Vah Duployan Elbasan Grantha Pahawh_Hmong',
  'Khojki Linear_A Mahajani Manichaean Mende_Kikakui Modi',
  'Mro Old_North_Arabian Nabataean Palmyrene Pau_Cin_Hau Old_Permic',
  'Psalter_Pahlavi Siddham Khudawadi Tirhuta Warang_Citi Ahom',
  'Anatolian_Hieroglyphs Hatran Multani Old_Hungarian SignWriting Adlam',
  'Bhaiksuki Marchen Newa Osage Tangut',
].flatMap((names) => names.split(' '));

/** Extended_Pictographic of Unicode 16, with what is reserved for it. */
export const pictographs = [
  '4p 0 5 0 68e 0 d 0 61 0 n 0 2j 5 g 1 a8 1 d 0 2o 0 1z 0 q a 5 2 5k 0 6g 1 b 0 a 0 1n 3 2 5 2',
  ' b 2 35 b 39 3 a 2 0 2 0 7 0 4 0 7 0 b 1 g 0 3 0 5 0 2 0 5 2 2 0 c 4 1a 2 a 0 f 0 f 0 ad 1 c',
  'w 2 k 1 1g 0 5 0 yj 0 d 0 gq 0 2 0 2fzb 73 e 2 w 0 1p 5 d 1 f 0 3 9 j 1k s e b 0 l 0 3 8 2 3',
  ' a c1 6 8t 9 7d 1d 3j 39 b 2e 16 d 3 1l 7 b 5 15 7 v 29 d 1a 2 9 2 c8 75 sd',
].join('');
