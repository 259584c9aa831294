set terminal svg size 900,600 background 'white'
set output 'cycle.svg'
set title "1 GiB, uniform\nAMD EPYC, 2 cores, 24 GiB; Linux 6.18.44-fc-v657 x86_64; gcc 12.2.0" noenhanced
set xlabel 'writes in a cycle'
set ylabel 'cycle, us'
set logscale xy
set grid
set key outside right
$line0 << EOD
10 307.399
30 363.954
100 530.091
300 1174.9
1000 2889.79
3000 7814.41
10000 24630.4
30000 51508.9
EOD
$line1 << EOD
10 45.558
30 113.048
100 290.273
300 887.204
1000 2812.4
3000 8910.76
10000 20480.3
30000 32860.4
EOD
$line2 << EOD
10 290.764
30 358.805
100 582.489
300 1085.68
1000 2884.24
3000 7760.22
10000 23844.7
30000 56717.5
EOD
$line3 << EOD
10 93.129
30 277.264
100 937.138
300 2925.4
1000 10520.2
3000 31757
10000 116638
30000 516607
EOD
$line4 << EOD
10 64.316
30 179.178
100 574.317
300 1780.73
1000 6043.19
3000 18346
10000 59680.5
30000 277618
EOD
$line5 << EOD
10 27618.9
30 25360.9
100 25511.2
300 30777.7
1000 28902.9
3000 27454.5
10000 53009.1
30000 105423
EOD
$line6 << EOD
10 794.556
30 2185.53
100 3731.82
300 4197.06
1000 8606
3000 13459.3
30000 67658.8
EOD
plot $line0 with linespoints title "cow, automatic" noenhanced, $line1 with linespoints title "cow, by write()" noenhanced, $line2 with linespoints title "cow, kernel" noenhanced, $line3 with linespoints title "cow, mprotect" noenhanced, $line4 with linespoints title "cow, userfaultfd" noenhanced, $line5 with linespoints title "fork, 4 KiB pages" noenhanced, $line6 with linespoints title "fork, huge pages" noenhanced
